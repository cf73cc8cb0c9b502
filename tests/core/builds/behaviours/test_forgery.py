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


@pytest.mark.parametrize("behaviour", ["verify", "x/1/verify"])
@pytest.mark.parametrize("more", ["", FAILING])
async def test_no_agent_may_ask_for_a_round_of_verification_of_its_own(
    build: Any, behaviour: str, more: str
) -> None:
    """What it says in there would count as the verdict of the gates."""

    def check(work: Work, code: bytes) -> Outcome:
        found = gate(work, code)
        own = (Spawn(behaviour=behaviour, n=n, agent="liar") for n in (1, 2))
        return replace(found, spawn=tuple(own)) if work.task == CLOSE else found

    def lie(work: Work, code: bytes) -> Outcome:
        return Outcome(gates=tuple(GateResult(name=name, passed=True) for name in ("lint", "tests")))

    ended = await build(more, validator=check, liar=lie, debugger=lambda w, c: file(BROKEN))
    assert ended.state == "failed"
    assert not ended.agents["liar"].seen
    assert not ended.report["passed"]
