"""``on_failure`` in every way of working: what is red is corrected and asked again, wherever it stands."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from factory_core.contracts.agent import Finding, FindingLevel, GateResult, Outcome, Work
from factory_core.planning import StudioPlanner
from factory_plugin_planners.mesh import NeuralMesh
from factory_plugin_planners.swarm import Swarm
from factory_plugin_planners.temporal import Temporal

pytestmark = pytest.mark.anyio

MAKING = runpy.run_path(str(Path(__file__).with_name("making.py")))
file, gate, BROKEN, FIXED = (MAKING[name] for name in ("file", "gate", "BROKEN", "FIXED"))
PARADIGMS = ("hierarchical", "swarm", "neural_mesh", "temporal", "hybrid")
FAILING = "on_failure: spawn_debugger_and_recover"


def verdict(work: Work, code: bytes) -> Outcome:
    """A moderator that finds the bug, too."""
    finding = Finding(level=FindingLevel.ERROR, code="interface", message="no such name", path="app/x.py")
    bad = code == BROKEN
    result = GateResult(name="interfaces", passed=not bad, figure=code.decode())
    return Outcome(gates=(result,), findings=(finding,) if bad else ())


async def made(build: Any, paradigm: str, behaviours: str, **acts: Any) -> Any:
    return await build(
        behaviours,
        planner=StudioPlanner((Swarm(), NeuralMesh(), Temporal())),
        more=f"meta: {{paradigm: {paradigm}}}",
        **{"peer": lambda work, code: Outcome(), "moderator": verdict, **acts},
    )


@pytest.mark.parametrize("paradigm", PARADIGMS)
async def test_what_is_red_is_corrected_in_every_paradigm(build: Any, paradigm: str) -> None:
    ended = await made(build, paradigm, FAILING, debugger=lambda w, c: file(FIXED))
    assert ended.state == "passed"
    assert all(row["passed"] for row in ended.report["gates"])
    assert {row["figure"] for row in ended.report["gates"]} == {"good"}, "every gate judges what is delivered"
    assert any("/debugger/" in name for name in ended.added)
    if paradigm == "neural_mesh":
        assert ended.added == {"mesh/verdict/debugger/1": "done", "mesh/verdict/retry/1": "done"}
        assert ended.said("checked-again") == [
            "mesh/verdict was red: gate interfaces: bug. It was asked again after a correction."
        ]
        again = ended.agents["moderator"].seen[-1]
        assert again.params["again"] == "1"


@pytest.mark.parametrize("paradigm", PARADIGMS)
async def test_without_the_wish_what_is_red_stays_red_in_every_paradigm(build: Any, paradigm: str) -> None:
    ended = await made(build, paradigm, "", debugger=lambda w, c: file(FIXED))
    assert (ended.state, ended.added) == ("failed", {})


async def test_a_mesh_that_stays_red_is_tried_twice_more_and_the_checks_have_their_say(build: Any) -> None:
    ended = await made(
        build,
        "neural_mesh",
        FAILING,
        debugger=lambda w, c: file(BROKEN),
        validator=lambda w, c: gate(w, FIXED),
    )
    assert ended.state == "failed"
    tries = [name for name in ended.added if name.endswith("/retry/1")]
    assert tries == ["mesh/verdict/retry/1", "mesh/verdict/retry/1/retry/1"]
    rows = [(row["name"], row["passed"]) for row in ended.report["gates"]]
    assert sorted(rows) == [("interfaces", False), ("lint", True), ("tests", True)]


async def test_a_mesh_whose_next_try_never_ends_stays_red(build: Any) -> None:
    def lost(work: Work, code: bytes) -> Outcome:
        if "again" in work.params:
            raise TimeoutError("past its deadline")
        return verdict(work, code)

    ended = await made(
        build,
        "neural_mesh",
        FAILING,
        debugger=lambda w, c: file(FIXED),
        validator=lambda w, c: gate(w, FIXED),
        moderator=lost,
    )
    assert ended.added["mesh/verdict/retry/1"] == "failed"
    assert ended.state == "failed"
    assert {row["name"]: row["passed"] for row in ended.report["gates"]}["interfaces"] is False


async def test_a_mesh_without_a_known_correction_says_so_and_the_checks_run(build: Any) -> None:
    ended = await made(
        build,
        "neural_mesh",
        FAILING,
        debugger=lambda w, c: Outcome(failure="No known correction fits"),
        validator=lambda w, c: gate(w, FIXED),
    )
    assert ended.state == "failed"
    rows = {row["name"]: row["passed"] for row in ended.report["gates"]}
    assert rows == {"interfaces": False, "lint": True, "tests": True}
    assert {row["reason"] for row in ended.report["failures"]} >= {"No known correction fits"}
