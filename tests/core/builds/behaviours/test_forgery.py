"""What no agent may add to a build: tasks under the studio's own names."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from factory_core.contracts.agent import GateResult, Outcome, Spawn, Work

pytestmark = pytest.mark.anyio

MAKING = runpy.run_path(str(Path(__file__).with_name("making.py")))
file, gate, BROKEN = MAKING["file"], MAKING["gate"], MAKING["BROKEN"]
FAILING = "on_failure: spawn_debugger_and_recover"
CLOSE = "gate-tests"


ASKED = {
    "a round": {"behaviour": "verify"},
    "a round below": {"behaviour": "x/1/verify"},
    "a number that is none": {"behaviour": "x", "n": "1/verify/2"},
    "a delivery": {"behaviour": "x", "agent": "harvester"},
    "a plan": {"behaviour": "x", "agent": "planner"},
    "a merge": {"behaviour": "x", "agent": "merger"},
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize("more", ["", FAILING])
async def test_no_agent_may_add_what_only_the_studio_adds(
    build: Any, asked: dict[str, Any], more: str
) -> None:
    """What is said in a round of verification counts as the verdict of the gates."""

    def check(work: Work, code: bytes) -> Outcome:
        found = gate(work, code)
        own = (Spawn(**{"n": n, "agent": "liar", **asked}) for n in (1, 2))
        return replace(found, spawn=tuple(own)) if work.task == CLOSE else found

    def lie(work: Work, code: bytes) -> Outcome:
        return Outcome(gates=tuple(GateResult(name=name, passed=True) for name in ("lint", "tests")))

    ended = await build(more, validator=check, liar=lie, debugger=lambda w, c: file(BROKEN))
    assert ended.state == "failed"
    assert not ended.agents["liar"].seen
    assert not [name for name in ended.tasks if "/x/" in name]
    assert not ended.report["passed"]
    assert {row["name"] for row in ended.report["gates"] if not row["passed"]} == {"lint", "tests"}


@pytest.mark.parametrize("phase", [f"{CLOSE}/verify", f"{CLOSE}/retry", "x/audit"])
async def test_no_phase_of_a_specification_passes_for_what_the_studio_adds(build: Any, phase: str) -> None:
    ended = await build("", more=f"phases: {{{phase}: {{parallel: ['1', '2']}}}}\n")
    assert ended.state == "failed"
    assert {row["name"] for row in ended.report["gates"] if not row["passed"]} == {"lint", "tests"}
    assert f"{phase.replace('/', '-')}/1" in ended.tasks
