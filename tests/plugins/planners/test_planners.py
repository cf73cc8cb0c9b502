"""What each way of working does to a plan."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from factory_core.contracts.agent import Message
from factory_core.contracts.blueprint import (
    Blueprint,
    Constraints,
    Entity,
    Field,
    FieldKind,
    Hints,
    Phase,
    PhaseOrder,
    PhaseTask,
    Project,
)
from factory_core.contracts.plan import Arrangement, Draft, Plan, Region
from factory_core.contracts.template import Manifest, TemplatePackage, ToolchainSpec, WorkSpec
from factory_core.planning import HierarchicalPlanner, PlanError, StudioPlanner
from factory_plugin_planners.plugin import factory_planners

WORKS = (
    WorkSpec(name="analyse", agent="analyzer", stage="analyse"),
    WorkSpec(name="design", agent="architect", stage="design", after=("analyse",), coordinates=True),
    WorkSpec(name="models", agent="builder", each="entity", after=("design",), seconds=0.2),
    WorkSpec(name="routes", agent="builder", each="entity", after=("models",), seconds=0.1),
    WorkSpec(name="assembly", agent="integrator", stage="integrate", after=("routes",)),
    WorkSpec(name="gates", agent="validator", stage="verify", after=("assembly",), seconds=5),
    WorkSpec(name="report", agent="harvester", stage="deliver", after=("gates",)),
)
TEMPLATE = TemplatePackage(
    manifest=Manifest(name="small", version="1", title="S", toolchain=ToolchainSpec(lock="l"), work=WORKS),
    root=Path(),
    digest="0" * 64,
)
PHASES = tuple(
    Phase(
        name=name,
        order=PhaseOrder.PARALLEL,
        tasks=(PhaseTask(name=task),),
        window_minutes=window,
    )
    for name, task, window in (
        ("phase_1_foundation", "setup_structure", (0, 30)),
        ("phase_2_core", "build_database", (30, 90)),
        ("phase_3_quality", "run_all_tests", (90, 120)),
    )
)


def spec(entities: int = 4, links: int = 0, **changes: object) -> Blueprint:
    names = [f"Thing{n}" for n in range(entities)]
    fields = [
        tuple(
            Field(name=f"link{k}", kind=FieldKind.REFERENCE, target=names[(n + k + 1) % entities])
            for k in range(links)
        )
        for n in range(entities)
    ]
    return Blueprint(
        project=Project(name="P", slug="p"),
        entities=tuple(
            Entity(name=name, path=f"/{name.lower()}", fields=made)
            for name, made in zip(names, fields, strict=True)
        ),
        **changes,  # type: ignore[arg-type]  # the tests name real fields
    )


def planned(blueprint: Blueprint, **options: int) -> Plan:
    return StudioPlanner(factory_planners()).plan(blueprint, TEMPLATE, **options)


def asked(paradigm: str, *sequence: str) -> Hints:
    return Hints(paradigm=paradigm, orchestration=sequence)


def by_id(plan: Plan) -> dict[str, object]:
    return {task.id: task for task in plan.tasks}


def test_a_swarm_drops_every_edge_that_carries_no_file() -> None:
    blueprint = spec(phases=PHASES)
    bound = by_id(HierarchicalPlanner().plan(blueprint, TEMPLATE))
    free = by_id(planned(replace(blueprint, hints=asked("swarm"))))
    assert {"design", "barrier/phase_2_core/start"} <= set(bound["models/Thing0"].after)
    assert free["models/Thing0"].after == ("analyse",)
    assert free["routes/Thing0"].after == ("models/Thing0",)
    assert free["models/Thing0"].params["paradigm"] == "swarm"
    assert set(bound) == set(free)
    assert "design" in free["report"].after, "the delivery still waits for everything"


def test_a_mesh_puts_rounds_between_barriers_before_the_delivery() -> None:
    plan = planned(spec(3, hints=asked("neural")))
    tasks = by_id(plan)
    assert plan.paradigm == "neural_mesh"
    assert [name for name in tasks if name.startswith("mesh/1")] == ["mesh/1/1", "mesh/1/2", "mesh/1/3"]
    assert tasks["mesh/2/1"].after == ("assembly", "barrier/mesh/1")
    assert set(tasks["barrier/mesh/1"].after) == {"mesh/1/1", "mesh/1/2", "mesh/1/3"}
    assert "mesh/verdict" in tasks["report"].after
    assert plan.quote.agents == HierarchicalPlanner().plan(spec(3), TEMPLATE).quote.agents + 7


def test_a_mesh_keeps_the_cap() -> None:
    blueprint = spec(3, hints=asked("neural_mesh"))
    own = HierarchicalPlanner().plan(spec(3), TEMPLATE).quote.agents
    assert planned(blueprint, max_agents=own + 5).quote.agents == own + 5
    silent = planned(blueprint, max_agents=own + 4)
    assert silent.quote.agents == own
    assert any("too few to talk" in said for said in silent.assumptions)


def test_temporal_gives_every_task_a_deadline_and_keeps_windows_in_proportion() -> None:
    plan = planned(spec(phases=PHASES, hints=asked("temporal")))
    tasks = by_id(plan)
    assert all(task.deadline_seconds >= 300 for task in plan.tasks if task.params)
    assert tasks["gates"].deadline_seconds == 300.0
    # The quality phase opens at minute 90 of 120: at three quarters of a schedule of 6.2 s, not after an hour and a half.
    assert tasks["gates"].delay == pytest.approx(0.75 * 5.75, abs=0.5)
    assert tasks["analyse"].delay == 0.0
    assert max(task.delay for task in HierarchicalPlanner().plan(spec(phases=PHASES), TEMPLATE).tasks) == 0.0


def test_temporal_starts_what_has_no_slack_first() -> None:
    works = (
        *WORKS[:2],
        WorkSpec(name="long", agent="builder", after=("design",), seconds=3),
        WorkSpec(name="short", agent="builder", after=("design",), seconds=1),
        WorkSpec(name="gates", agent="validator", stage="verify", after=("long", "short")),
    )
    template = replace(TEMPLATE, manifest=replace(TEMPLATE.manifest, work=works))
    plan = StudioPlanner(factory_planners()).plan(spec(1, hints=asked("temporal")), template)
    tasks = by_id(plan)
    assert tasks["long"].priority - tasks["short"].priority > 2000, "its length and the other's slack"


def test_a_hybrid_has_a_paradigm_for_each_region_and_says_why() -> None:
    plan = planned(spec(4, links=1, hints=asked("hybrid"), constraints=Constraints(max_build_seconds=600)))
    assert {region.name: region.paradigm for region in plan.regions} == {
        "understand": "hierarchical",
        "backend": "swarm",
        "integrate": "neural_mesh",
        "verify": "hierarchical",
        "deliver": "temporal",
    }
    assert all(region.reason for region in plan.regions)
    assert any("backend is swarm (4 entities with 1 references each)" in said for said in plan.assumptions)


def test_the_spec_orders_a_sequence_of_paradigms() -> None:
    sequence = (
        "Start with swarm for exploration of tech choices",
        "Switch to hierarchical for implementation",
        "Use neural mesh for complex integration points",
        "Apply temporal reasoning for deployment strategies",
        "Finish with hybrid for final optimization pass",
    )
    plan = planned(spec(4, hints=asked("hybrid", *sequence)))
    assert {region.name: region.paradigm for region in plan.regions} == {
        "understand": "swarm",
        "backend": "hierarchical",
        "integrate": "neural_mesh",
        "verify": "hierarchical",
        "deliver": "temporal",
    }


@pytest.mark.parametrize(
    ("blueprint", "paradigm"),
    [
        (spec(5), "swarm"),
        (spec(3, links=2), "neural_mesh"),
        (spec(2, phases=PHASES), "temporal"),
        (spec(5, phases=PHASES), "hybrid"),
        (spec(2), "hierarchical"),
    ],
)
def test_auto_counts(blueprint: Blueprint, paradigm: str) -> None:
    assert planned(replace(blueprint, hints=asked("auto"))).paradigm == paradigm


@pytest.mark.parametrize("paradigm", ["swarm", "neural_mesh", "temporal", "hybrid", "auto"])
def test_equal_specs_have_equal_plans(paradigm: str) -> None:
    blueprint = spec(5, links=1, phases=PHASES, hints=asked(paradigm))
    assert planned(blueprint) == planned(blueprint)


def test_without_the_plugin_the_plan_is_hierarchical_and_says_so() -> None:
    plan = HierarchicalPlanner().plan(spec(hints=asked("swarm")), TEMPLATE)
    assert plan.paradigm == "hierarchical"
    assert any("No installed plugin brings the paradigm swarm" in said for said in plan.assumptions)


class Careless:
    """Loses a task, an edge or the cap."""

    name = "swarm"

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def arrange(self, draft: Draft, region: Region) -> Arrangement:
        match self.fault:
            case "task":
                tasks = tuple(task for task in draft.tasks if task.id != "report")
            case "edge":
                tasks = tuple(replace(t, after=()) if t.id == "assembly" else t for t in draft.tasks)
            case _:
                more = tuple(replace(draft.tasks[0], id=f"more/{n}") for n in range(draft.spare + 1))
                tasks = (*draft.tasks, *more)
        return Arrangement(tasks=tasks)


@pytest.mark.parametrize(
    ("fault", "said"), [("task", "lost the task"), ("edge", "no longer comes after"), ("cap", "over")]
)
def test_a_paradigm_that_breaks_the_plan_is_named(fault: str, said: str) -> None:
    planner = StudioPlanner([Careless(fault)])
    with pytest.raises(PlanError, match=said):
        planner.plan(spec(hints=asked("swarm")), TEMPLATE)


def test_messages_know_their_reader() -> None:
    assert Message(to="1", body="[]").sender == ""
