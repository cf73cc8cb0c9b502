from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import msgspec
import pytest

from factory_core.contracts.blueprint import Blueprint, Constraints, Hints, Node, Phase
from factory_core.contracts.plan import Plan, PlannedTask
from factory_core.contracts.template import TemplatePackage, WorkSpec
from factory_core.planning import HierarchicalPlanner, PlanError, estimate_seconds

PLANNER = HierarchicalPlanner()
replace = msgspec.structs.replace


def by_id(plan: Plan) -> dict[str, PlannedTask]:
    return {task.id: task for task in plan.tasks}


def above(plan: Plan, task: str) -> set[str]:
    tasks, found, waiting = by_id(plan), set[str](), [task]
    while waiting:
        for earlier in tasks[waiting.pop()].after:
            if earlier not in found:
                found.add(earlier)
                waiting.append(earlier)
    return found


class TestWork:
    def test_every_node_gets_a_task_named_after_it(
        self, taskboard: Blueprint, template: TemplatePackage
    ) -> None:
        tasks = by_id(PLANNER.plan(taskboard, template))
        assert {
            "analysis",
            "models/Board",
            "models/Card",
            "models/Label",
            "actions/post-cards-id-finish",
            "pages/board-view",
            "acceptance/a-finished-card-stays-finished",
        } <= set(tasks)

    def test_plain_crud_is_part_of_its_entity(self, taskboard: Blueprint, template: TemplatePackage) -> None:
        assert "actions/get-cards" not in by_id(PLANNER.plan(taskboard, template))

    def test_tasks_carry_work_and_nodes(self, taskboard: Blueprint, template: TemplatePackage) -> None:
        tasks = by_id(PLANNER.plan(taskboard, template))
        assert tasks["models/Card"].params == {"work": "models", "nodes": '["Card"]', "node": "Card"}
        assert tasks["actions/post-cards-id-finish"].params["node"] == "POST /cards/{id}/finish"
        assert tasks["analysis"].params == {"work": "analysis", "nodes": "[]"}

    def test_scopes_follow_the_entity(self, taskboard: Blueprint, template: TemplatePackage) -> None:
        tasks = by_id(PLANNER.plan(taskboard, template))
        assert tasks["pages/board-view"].scope == "entity:Card"
        assert tasks["actions/post-cards-id-finish"].scope == "entity:Card"
        assert tasks["acceptance/a-finished-card-stays-finished"].scope == "project"

    def test_requirements_are_linked_from_either_side(
        self, taskboard: Blueprint, template: TemplatePackage
    ) -> None:
        tasks = by_id(PLANNER.plan(taskboard, template))
        assert tasks["models/Card"].requirements == ("R-1",)
        assert tasks["actions/post-cards-id-finish"].requirements == ("R-2",)
        assert tasks["models/Board"].requirements == ()

    def test_work_on_equal_nodes_is_joined_node_by_node(
        self, taskboard: Blueprint, template: TemplatePackage
    ) -> None:
        assert by_id(PLANNER.plan(taskboard, template))["routes/Card"].after == ("models/Card",)

    def test_other_work_is_joined_all_to_all(self, taskboard: Blueprint, template: TemplatePackage) -> None:
        after = by_id(PLANNER.plan(taskboard, template))["pages/board-view"].after
        assert after == ("routes/Board", "routes/Card", "routes/Label")

    def test_many_edges_are_led_through_one_barrier(
        self, crowded: Callable[..., Blueprint], make_template: Callable[..., TemplatePackage]
    ) -> None:
        works = (
            WorkSpec(name="models", agent="a", each="entity"),
            WorkSpec(name="late", agent="a", each="entity", after=("sum",)),
            WorkSpec(name="sum", agent="a", each="view", after=("models",)),
        )
        plan = PLANNER.plan(crowded(60), make_template(*works))
        assert by_id(plan)["late/Thing1"].after == ("barrier/models/all",)
        assert len(by_id(plan)["barrier/models/all"].after) == 60

    def test_work_without_nodes_hands_on_its_place_in_the_order(
        self, taskboard: Blueprint, template: TemplatePackage
    ) -> None:
        plan = PLANNER.plan(replace(taskboard, acceptance=(), views=(), endpoints=()), template)
        assert by_id(plan)["skeleton"].after == ("analysis",)
        assert "routes/Card" in above(plan, "assembly")

    def test_the_delivery_runs_after_every_single_task(
        self, taskboard: Blueprint, template: TemplatePackage
    ) -> None:
        plan = PLANNER.plan(taskboard, template)
        tasks = by_id(plan)
        assert tasks["report"].always
        assert set(tasks["report"].after) == set(tasks) - {"report"}

    def test_equal_names_are_numbered(self, taskboard: Blueprint, template: TemplatePackage) -> None:
        case = taskboard.acceptance[0]
        twins = replace(taskboard, acceptance=(case, replace(case, name="a finished card: stays finished")))
        assert "acceptance/a-finished-card-stays-finished-2" in by_id(PLANNER.plan(twins, template))


class TestCap:
    def test_work_beyond_the_cap_is_grouped_and_said(
        self, crowded: Callable[..., Blueprint], template: TemplatePackage
    ) -> None:
        plan = PLANNER.plan(crowded(100), template, max_agents=40)
        assert plan.quote.agents == 40
        chunk = next(task for task in plan.tasks if task.id.startswith("models/1-of-"))
        assert json.loads(chunk.params["nodes"])[0] == "Thing1"
        assert any("grouped into 40 tasks" in said for said in plan.assumptions)
        covered = [
            node
            for task in plan.tasks
            if task.params.get("work") == "models"
            for node in json.loads(task.params["nodes"])
        ]
        assert covered == [f"Thing{n}" for n in range(1, 101)]

    def test_the_spec_keeps_its_maximum_against_a_larger_argument(
        self, crowded: Callable[..., Blueprint], template: TemplatePackage
    ) -> None:
        blueprint = crowded(100, constraints=Constraints(max_agents=30))
        assert PLANNER.plan(blueprint, template, max_agents=500).quote.agents == 30

    @pytest.mark.parametrize("cap", [0, 5])
    def test_too_few_agents_for_the_template_are_refused(
        self, taskboard: Blueprint, template: TemplatePackage, cap: int
    ) -> None:
        with pytest.raises(PlanError, match=f"max_agents is {cap}, but the template's 13 kinds"):
            PLANNER.plan(taskboard, template, max_agents=cap)

    def test_low_spawn_thresholds_get_more_of_scarce_agents(
        self, crowded: Callable[..., Blueprint], template: TemplatePackage
    ) -> None:
        def testers(threshold: float) -> int:
            hints = Hints(spawn_thresholds={"tester": threshold})
            plan = PLANNER.plan(crowded(100, hints=hints), template, max_agents=60)
            return sum(task.agent == "tester" for task in plan.tasks)

        assert testers(0.0) > testers(1.0)


class TestHints:
    def test_hints_are_scaled_to_the_cap_and_said(
        self, taskboard: Blueprint, template: TemplatePackage, seed_hints: Hints
    ) -> None:
        blueprint = replace(taskboard, hints=seed_hints, constraints=Constraints(max_agents=200))
        plan = PLANNER.plan(blueprint, template)
        assert plan.scale == pytest.approx(0.2985)
        said = plan.assumptions[0]
        assert all(fact in said for fact in ("592 to 748", "200", "0.30", "0.27", "0.34"))
        asked = [team for team in plan.teams if team.asked_high]
        assert sum(team.agents for team in asked) == 200
        assert [team.name for team in asked] == ["user_interface", "build_service", "security"]
        shares = {team.name: team.agents for team in plan.teams if team.percent}
        assert shares == {"frontend": 70, "backend": 60, "testing": 40, "devops": 20, "documentation": 10}

    def test_a_cap_that_suffices_scales_nothing(
        self, taskboard: Blueprint, template: TemplatePackage, seed_hints: Hints
    ) -> None:
        blueprint = replace(taskboard, hints=seed_hints, constraints=Constraints(max_agents=2000))
        assert PLANNER.plan(blueprint, template).scale == 1.0

    def test_tasks_go_to_the_best_fitting_team(
        self, crowded: Callable[..., Blueprint], template: TemplatePackage, seed_hints: Hints
    ) -> None:
        blueprint = crowded(1, hints=seed_hints)
        builds = replace(blueprint.entities[0], name="builds")
        tasks = by_id(PLANNER.plan(replace(blueprint, entities=(*blueprint.entities, builds)), template))
        assert tasks["models/Thing1"].team == "backend"
        assert tasks["models/builds"].team == "build_service"
        assert tasks["contracts/builds"].team == "testing"
        assert tasks["report"].team == "delivery"

    def test_preferred_and_eager_agents_start_earlier(
        self, taskboard: Blueprint, template: TemplatePackage, seed_hints: Hints
    ) -> None:
        plain = by_id(PLANNER.plan(taskboard, template))
        hinted = by_id(PLANNER.plan(replace(taskboard, hints=seed_hints), template))
        assert hinted["models/Card"].priority == plain["models/Card"].priority + 1000
        assert hinted["gates"].priority == plain["gates"].priority + 600
        assert hinted["handbook"].priority == plain["handbook"].priority

    def test_only_lines_that_shaped_the_plan_are_claimed(
        self,
        taskboard: Blueprint,
        template: TemplatePackage,
        seed_hints: Hints,
        hint_nodes: tuple[Node, ...],
    ) -> None:
        plan = PLANNER.plan(replace(taskboard, hints=seed_hints, nodes=hint_nodes), template)
        assert plan.applied == (
            "constraints.max_agents",
            "web.user_interface#hint",
            "agent_hints.resource_allocation.frontend",
            "agent_hints.preferred_agents[0]",
            "agent_hints.spawn_threshold_overrides.validator",
        )

    def test_a_paradigm_that_was_not_followed_is_said_and_not_claimed(
        self, taskboard: Blueprint, template: TemplatePackage, seed_hints: Hints, hint_nodes: tuple[Node, ...]
    ) -> None:
        plan = PLANNER.plan(replace(taskboard, hints=seed_hints, nodes=hint_nodes), template)
        assert plan.paradigm == "hierarchical"
        assert any("paradigm hybrid" in said for said in plan.assumptions)
        followed = replace(taskboard, nodes=hint_nodes)
        assert "meta.paradigm" in PLANNER.plan(followed, template).applied


class TestQuote:
    def test_the_critical_path_is_the_longest_chain(
        self, taskboard: Blueprint, template: TemplatePackage
    ) -> None:
        plan = PLANNER.plan(taskboard, template)
        tasks = by_id(plan)
        assert plan.quote.critical_seconds == pytest.approx(
            sum(tasks[name].seconds for name in plan.critical_path)
        )
        assert plan.critical_path[0] == "analysis"
        assert plan.critical_path[-1] == "report"

    def test_cores_shorten_the_estimate_down_to_the_critical_path(
        self, crowded: Callable[..., Blueprint], template: TemplatePackage
    ) -> None:
        quote = PLANNER.plan(crowded(50), template).quote
        assert estimate_seconds(quote, cores=1) == quote.total_seconds
        assert estimate_seconds(quote) == pytest.approx(quote.total_seconds / 2)
        assert estimate_seconds(quote, cores=1000) == quote.critical_seconds

    def test_barriers_and_coordinators_do_not_count_as_agents(
        self, taskboard: Blueprint, template: TemplatePackage, seed_phases: tuple[Phase, ...]
    ) -> None:
        plain = PLANNER.plan(taskboard, template).quote
        phased = PLANNER.plan(replace(taskboard, phases=seed_phases), template).quote
        assert phased.agents == plain.agents
        assert phased.tasks > plain.tasks


@pytest.mark.parametrize(
    ("works", "fault"),
    [
        ((), "lists no work"),
        ((WorkSpec(name="a", agent="x", after=("b",)),), "'b', which is no work"),
        ((WorkSpec(name="a", agent="x"), WorkSpec(name="a", agent="x")), "two kinds of work"),
        ((WorkSpec(name="a", agent="barrier"),), "which no template may use"),
        (
            (WorkSpec(name="a", agent="x", after=("b",)), WorkSpec(name="b", agent="x", after=("a",))),
            "waits for itself",
        ),
    ],
)
def test_a_template_that_cannot_be_planned_is_refused(
    taskboard: Blueprint,
    make_template: Callable[..., TemplatePackage],
    works: tuple[WorkSpec, ...],
    fault: str,
) -> None:
    with pytest.raises(PlanError, match=fault):
        PLANNER.plan(taskboard, make_template(*works))


_IN_ANOTHER_PROCESS = """
import sys, msgspec
from factory_core.contracts.blueprint import Blueprint
from factory_core.contracts.template import Manifest, TemplatePackage
from factory_core.planning import HierarchicalPlanner
from pathlib import Path
blueprint, manifest = sys.stdin.buffer.read().split(b"\\n")
template = TemplatePackage(manifest=msgspec.json.decode(manifest, type=Manifest), root=Path("x"), digest="0")
plan = HierarchicalPlanner().plan(msgspec.json.decode(blueprint, type=Blueprint), template)
sys.stdout.buffer.write(msgspec.json.encode(plan))
"""


def test_the_order_of_hash_tables_changes_no_byte(
    taskboard: Blueprint, template: TemplatePackage, seed_phases: tuple[Phase, ...], seed_hints: Hints
) -> None:
    blueprint = replace(taskboard, phases=seed_phases, hints=seed_hints)
    text = msgspec.json.encode(blueprint) + b"\n" + msgspec.json.encode(template.manifest)
    plans = {
        subprocess.run(
            [sys.executable, "-c", _IN_ANOTHER_PROCESS],
            input=text,
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4711")
    }
    assert plans == {msgspec.json.encode(PLANNER.plan(blueprint, template))}
