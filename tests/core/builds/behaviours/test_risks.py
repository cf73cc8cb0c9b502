"""on_security_risk: an audit, and then a person."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import msgspec
import pytest

from factory_core.contracts.agent import Finding, FindingLevel, GateResult, Outcome, Spawn, Work
from factory_core.contracts.template import WorkSpec
from factory_core.errors import SandboxUnavailable

pytestmark = pytest.mark.anyio

MAKING = runpy.run_path(str(Path(__file__).with_name("making.py")))
WORKS, file, BROKEN, FIXED = MAKING["WORKS"], MAKING["file"], MAKING["BROKEN"], MAKING["FIXED"]


async def test_on_security_risk_the_build_halts_until_a_person_decides(build: Any, desk: Any) -> None:
    works = tuple(
        msgspec.structs.replace(work, params={"gate": "security"}) if work.name == "gate-lint" else work
        for work in WORKS
    )

    def risky(work: Work, code: bytes) -> Outcome:
        return Outcome(
            gates=(
                GateResult(
                    name=work.params["gate"], passed=work.params["gate"] != "security", figure="1 high"
                ),
            )
        )

    options = {"works": works, "validator": risky}
    ended = await build("on_security_risk: halt_and_audit", **options)
    assert ended.state == "halted"
    assert ended.tasks["deliver"].state in ("waiting", "ready")
    assert "security: 1 high" in (await desk.journal.build(desk.org, ended.build)).reason
    assert await desk.journal.control.decide(desk.org, ended.build, approve=False, by="Ann")
    assert await desk.state(ended.build) == "cancelled"


RISKY = (
    *WORKS[:2],
    msgspec.structs.replace(WORKS[2], params={"gate": "security"}),
    WORKS[3],
    WorkSpec(name="audit", agent="auditor", stage="verify", after=("gate-lint", "gate-tests")),
    msgspec.structs.replace(WORKS[4], after=("audit",)),
)
HALT = "on_security_risk: halt_and_audit"


def risky(work: Work, code: bytes) -> Outcome:
    if "gate" not in work.params:  # the auditor
        finding = Finding(
            level=FindingLevel.WARNING, code="B1", message="and a weak hash", path="app/x.py", line=7
        )
        return Outcome(
            gates=(GateResult(name="audit", passed=True, figure="0 secrets"),), findings=(finding,)
        )
    bad = work.params["gate"] == "security" and code == BROKEN
    return Outcome(
        gates=(GateResult(name=work.params["gate"], passed=not bad, figure="1 high" if bad else ""),)
    )


async def test_whoever_decides_is_told_what_an_audit_of_everything_finds(build: Any, desk: Any) -> None:
    ended = await build(HALT, works=RISKY, validator=risky, auditor=risky)
    assert (ended.state, ended.added) == ("halted", {"gate-lint/audit/1": "done"})
    assert (await desk.journal.build(desk.org, ended.build)).reason == (
        "security: 1 high. The audit says: audit: 0 secrets; app/x.py:7 and a weak hash"
    )
    assert ended.tasks["audit"].state in ("waiting", "ready"), "nothing follows until then"


async def test_an_audit_that_fails_halts_all_the_same(build: Any, desk: Any) -> None:
    ended = await build(HALT, works=RISKY, validator=risky, auditor=lambda w, c: Outcome(failure="no eyes"))
    assert ended.state == "halted"
    reason = (await desk.journal.build(desk.org, ended.build)).reason
    assert reason == "security: 1 high. The audit says: no eyes"


async def test_an_audit_that_cannot_be_made_halts_all_the_same(build: Any, desk: Any) -> None:
    def unfit(work: Work, code: bytes) -> Outcome:
        raise SandboxUnavailable("there is no sandbox")

    ended = await build(HALT, works=RISKY, validator=risky, auditor=unfit)
    assert ended.state == "halted"
    reason = (await desk.journal.build(desk.org, ended.build)).reason
    assert reason == "security: 1 high. The audit says: there is no sandbox"


async def test_where_no_agent_is_left_for_an_audit_the_build_halts_at_once(build: Any, desk: Any) -> None:
    ended = await build(HALT, works=RISKY, cap=6, validator=risky, auditor=risky)
    assert (ended.state, ended.added) == ("halted", {})
    assert (await desk.journal.build(desk.org, ended.build)).reason == "security: 1 high"


@pytest.mark.parametrize("more", ["", ", on_failure: spawn_debugger_and_recover"])
async def test_where_an_agent_asks_for_more_than_there_is_room_for_the_build_halts_all_the_same(
    build: Any, desk: Any, more: str
) -> None:
    def greedy(work: Work, code: bytes) -> Outcome:
        crowd = tuple(Spawn(behaviour="help", n=n, agent="tester", title="Help") for n in range(1, 70))
        return msgspec.structs.replace(
            risky(work, code), spawn=crowd if work.params.get("gate") == "security" else ()
        )

    ended = await build(
        HALT + more,
        works=RISKY,
        validator=greedy,
        auditor=risky,
        tester=risky,
        debugger=lambda w, c: Outcome(),
    )
    assert (ended.state, ended.added) == ("halted", {})
    assert (await desk.journal.build(desk.org, ended.build)).reason == "security: 1 high"
    assert await desk.journal.control.decide(desk.org, ended.build, approve=True, by="Ann")
    assert (await ended.go_on()).state == "failed"
    assert "would pass the cap of 60" in ended.tasks["gate-lint"].reason


UNSAFE = GateResult(name="security", passed=False, figure="1 high")
AUDITED = "security: 1 high. The audit says: audit: 0 secrets; app/x.py:7 and a weak hash"
LAST_TRY = "join/retry/1/retry/1"
ARMY = WorkSpec(name="probes", agent="tester", each="entity", stage="test", on="integration")


@pytest.mark.parametrize(
    ("more", "tries"),
    [("", ["join"]), (", on_failure: spawn_debugger_and_recover", ["join", "join/retry/1", LAST_TRY])],
)
async def test_a_risk_where_all_is_joined_halts_beside_the_testers(
    build: Any, desk: Any, more: str, tries: list[str]
) -> None:
    ended = await build(
        f"{HALT}, on_integration: spawn_tester_army{more}",
        works=(*RISKY, ARMY),
        integrator=lambda w, c: Outcome(gates=(UNSAFE,)),
        debugger=lambda w, c: file(FIXED),
        tester=lambda w, c: Outcome(),
        validator=risky,
        auditor=risky,
    )
    for tried in tries:
        assert ended.state == "halted"
        assert ended.added[f"{tried}/audit/1"] == "done"
        assert (await desk.journal.build(desk.org, ended.build)).reason == AUDITED
        assert await desk.journal.control.decide(desk.org, ended.build, approve=True, by="Ann")
        ended = await ended.go_on()
    assert f"{tries[-1]}/tester/1" in ended.added, "when nothing is left to try"
    assert ended.tasks["deliver"].state in ("waiting", "ready"), "what was tidied is asked again"


@pytest.mark.parametrize("cap", [60, 6])
async def test_a_risk_in_what_failed_halts_and_a_yes_makes_no_failure_good(
    build: Any, desk: Any, cap: int
) -> None:
    def gives_up(work: Work, code: bytes) -> Outcome:
        if work.params.get("gate") != "security":
            return risky(work, code)
        return Outcome(gates=(UNSAFE,), failure="it could not be read to its end")

    ended = await build(HALT, works=RISKY, cap=cap, validator=gives_up, auditor=risky)
    assert ended.state == "halted"
    assert (await desk.journal.build(desk.org, ended.build)).reason == (
        AUDITED if cap == 60 else "security: 1 high"
    )
    assert await desk.journal.control.decide(desk.org, ended.build, approve=True, by="Ann")
    ended = await ended.go_on()
    assert ended.state == "failed"
    assert [(row["task"], row["reason"]) for row in ended.report["failures"]] == [
        ("gate-lint", "it could not be read to its end")
    ]


async def test_without_the_wish_a_security_gate_only_fails(build: Any) -> None:
    works = tuple(
        msgspec.structs.replace(work, params={"gate": "security"}) if work.name == "gate-lint" else work
        for work in WORKS
    )
    ended = await build(
        "", works=works, validator=lambda w, c: Outcome(gates=(GateResult(name="security", passed=False),))
    )
    assert ended.state == "failed"
