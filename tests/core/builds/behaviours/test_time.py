"""What a build does when its time is nearly up: optional work goes, the rest comes to its end, and the report says so."""

from __future__ import annotations

from typing import Any

import pytest

from factory_core.contracts.agent import GateResult, Outcome, Work
from factory_core.contracts.template import WorkSpec

pytestmark = pytest.mark.anyio

WORKS = (
    WorkSpec(name="code", agent="builder", each="entity"),
    WorkSpec(name="gates", agent="validator", stage="verify", after=("code",)),
    WorkSpec(name="tune", agent="optimizer", after=("code",)),
    WorkSpec(name="deliver", agent="harvester", stage="deliver", after=("gates",)),
)
PHASES = """
phases:
  phase_1_core:                             # 0-1 minutes
    parallel: [build_database_layer: []]
    blocking: true
  phase_2_optimization:                     # 1-2 minutes
    parallel: [optimize_backend: [phase_1_core]]
    blocking: false
"""
BETTERING = "on_success: spawn_optimizer_and_enhance"


def content(work: Work, code: bytes) -> Outcome:
    return Outcome(gates=(GateResult(name="tests", passed=True),))


def nothing(work: Work, code: bytes) -> Outcome:
    return Outcome()


ACTS: dict[str, Any] = {"works": WORKS, "builder": nothing, "validator": content, "optimizer": nothing}


@pytest.mark.parametrize(("seconds", "dropped"), [(85.0, True), (70.0, False)])
async def test_at_four_fifths_of_the_time_optional_work_is_dropped_and_reported(
    build: Any, seconds: float, dropped: bool
) -> None:
    ended = await build(more=PHASES, late=("code/Card", seconds), **ACTS)
    assert ended.tasks["tune"].optional
    assert ended.state == "passed"
    assert str(ended.tasks["tune"].state) == ("skipped" if dropped else "done")
    said = [(row["task"], row["reason"], row["optional"]) for row in ended.report["failures"]]
    assert (("tune", "the build's time was up", True) in said) == dropped
    assert all(optional for *_, optional in said)


async def test_at_the_end_of_its_time_a_build_fails_with_its_report(build: Any) -> None:
    ended = await build(more=PHASES, late=("code/Card", 101.0), **ACTS)
    assert ended.state == "failed"
    assert "gates" in {row["task"] for row in ended.report["failures"] if not row["optional"]}


async def test_an_optimisation_that_there_is_no_time_for_is_told(build: Any) -> None:
    ended = await build(BETTERING, late=("gates", 85.0), **ACTS)
    assert ended.state == "passed"
    assert str(ended.tasks["gates/confirm/1"].state) == "skipped"
    assert ended.said("verification-round") == [
        "Round 2 of verification did not come to its end: gates/confirm/1 is not done. "
        "What gates/optimizer/1 had changed is not kept."
    ]


async def test_windows_are_compared_with_the_plan_and_with_what_happened(build: Any) -> None:
    ended = await build(more=PHASES, **ACTS)
    core, tuning = ended.report["plan"]["windows"]
    assert (core["phase"], core["opens_minutes"], core["closes_minutes"]) == ("phase_1_core", 0, 1)
    assert 0 < core["planned_seconds"] <= tuning["planned_seconds"]
    assert set(ended.report["run"]["phase_seconds"]) >= {"phase_1_core", "phase_2_optimization"}
