"""on_security_risk: an audit, and then a person."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import msgspec
import pytest

from factory_core.contracts.agent import Finding, FindingLevel, GateResult, Outcome, Work
from factory_core.contracts.template import WorkSpec

pytestmark = pytest.mark.anyio

MAKING = runpy.run_path(str(Path(__file__).with_name("making.py")))
WORKS, BROKEN = MAKING["WORKS"], MAKING["BROKEN"]


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


async def test_where_no_agent_is_left_for_an_audit_the_build_halts_at_once(build: Any, desk: Any) -> None:
    ended = await build(HALT, works=RISKY, cap=6, validator=risky, auditor=risky)
    assert (ended.state, ended.added) == ("halted", {})
    assert (await desk.journal.build(desk.org, ended.build)).reason == "security: 1 high"


async def test_without_the_wish_a_security_gate_only_fails(build: Any) -> None:
    works = tuple(
        msgspec.structs.replace(work, params={"gate": "security"}) if work.name == "gate-lint" else work
        for work in WORKS
    )
    ended = await build(
        "", works=works, validator=lambda w, c: Outcome(gates=(GateResult(name="security", passed=False),))
    )
    assert ended.state == "failed"
