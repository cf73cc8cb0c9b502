from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from factory_core.contracts.blueprint import Blueprint, Constraints, Node, Phase
from factory_core.contracts.plan import Plan, PlannedTask
from factory_core.contracts.template import TemplatePackage
from factory_core.planning import HierarchicalPlanner, PlanError

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


class TestPhases:
    def test_without_phases_the_stages_are_the_phases(
        self, taskboard: Blueprint, template: TemplatePackage
    ) -> None:
        phases = set(PLANNER.plan(taskboard, template).phases)
        assert phases == {"analyse", "test", "build", "integrate", "verify", "document", "deliver"}

    def test_named_tasks_keep_exactly_their_edges(
        self, taskboard: Blueprint, template: TemplatePackage, seed_phases: tuple[Phase, ...]
    ) -> None:
        plan = PLANNER.plan(replace(taskboard, phases=seed_phases), template)
        tasks = by_id(plan)
        coordinators = [task for task in plan.tasks if task.agent == "coordinator"]
        assert len(coordinators) == 20
        assert set(tasks["phase_3_features/build_frontend_views"].after) == {
            "barrier/phase_3_features/start",
            "phase_1_foundation/create_design_system",
            "phase_2_core_services/build_api_gateway",
        }
        for_a_phase = [task for task in coordinators if "barrier/phase_5_quality" in task.after]
        for_a_phase += [task for task in coordinators if "barrier/phase_4_integration" in task.after]
        assert len(for_a_phase) == 7

    def test_sequential_tasks_follow_each_other(
        self, taskboard: Blueprint, template: TemplatePackage, seed_phases: tuple[Phase, ...]
    ) -> None:
        tasks = by_id(PLANNER.plan(replace(taskboard, phases=seed_phases), template))
        assert (
            "phase_4_integration/integrate_factory" in tasks["phase_4_integration/integrate_websocket"].after
        )

    def test_a_blocking_phase_holds_back_the_next(
        self, taskboard: Blueprint, template: TemplatePackage, seed_phases: tuple[Phase, ...]
    ) -> None:
        plan = PLANNER.plan(replace(taskboard, phases=seed_phases), template)
        assert by_id(plan)["barrier/phase_2_core_services/start"].after == ("barrier/phase_1_foundation",)
        assert "phase_1_foundation/setup_development_environment" in above(
            plan, "phase_2_core_services/build_api_gateway"
        )

    def test_work_joins_the_phase_its_words_fit(
        self, taskboard: Blueprint, template: TemplatePackage, seed_phases: tuple[Phase, ...]
    ) -> None:
        tasks = by_id(PLANNER.plan(replace(taskboard, phases=seed_phases), template))
        assert {
            name: tasks[name].phase for name in tasks if "/" not in name or "Card" in name or "board" in name
        } == {
            "analysis": "phase_1_foundation",
            "skeleton": "phase_1_foundation",
            "models/Card": "phase_2_core_services",
            "routes/Card": "phase_2_core_services",
            "pages/board-view": "phase_3_features",
            "assembly": "phase_4_integration",
            "contracts/Card": "phase_5_quality",
            "gates": "phase_5_quality",
            "handbook": "phase_5_quality",
            "tuning": "phase_6_optimization",
            "report": "deliver",
        }
        assert tasks["acceptance/a-finished-card-stays-finished"].phase == "test"

    def test_only_work_of_a_phase_that_does_not_block_is_optional(
        self, taskboard: Blueprint, template: TemplatePackage, seed_phases: tuple[Phase, ...]
    ) -> None:
        plan = PLANNER.plan(replace(taskboard, phases=seed_phases), template)
        assert {task.id for task in plan.tasks if task.optional} == {
            "tuning",
            "phase_6_optimization/optimize_frontend",
            "phase_6_optimization/optimize_backend",
            "phase_6_optimization/optimize_database",
        }

    def test_time_pressure_never_drops_what_others_need_or_what_verifies(
        self, taskboard: Blueprint, template: TemplatePackage, phase: Callable[..., Phase]
    ) -> None:
        loose = phase("core_features_quality_foundation", "parallel", "all", blocking=False)
        plan = PLANNER.plan(replace(taskboard, phases=(loose,)), template)
        optional = {task.params.get("work") for task in plan.tasks if task.optional} - {None}
        assert optional == {"handbook"}

    def test_phases_in_an_unusual_order_never_turn_the_work_around(
        self, taskboard: Blueprint, template: TemplatePackage, seed_phases: tuple[Phase, ...]
    ) -> None:
        free = tuple(replace(one, tasks=()) for one in reversed(seed_phases))
        plan = PLANNER.plan(replace(taskboard, phases=free), template)
        assert "models/Card" in above(plan, "pages/board-view")

    def test_phases_that_wait_for_each_other_are_refused_by_name(
        self, taskboard: Blueprint, template: TemplatePackage, phase: Callable[..., Phase]
    ) -> None:
        circle = phase("one", "parallel", "a<b", "b<a")
        with pytest.raises(PlanError, match="one/a"):
            PLANNER.plan(replace(taskboard, phases=(circle,)), template)

    def test_a_task_that_waits_for_a_later_phase_loosens_the_block_and_is_said(
        self, taskboard: Blueprint, template: TemplatePackage, phase: Callable[..., Phase]
    ) -> None:
        phases = (phase("one", "parallel", "a<two"), phase("two", "parallel", "b"))
        plan = PLANNER.plan(replace(taskboard, phases=phases), template)
        assert "two/b" in above(plan, "one/a")
        assert any("one does not hold back two" in said for said in plan.assumptions)

    def test_a_dependency_on_nothing_is_said(
        self, taskboard: Blueprint, template: TemplatePackage, phase: Callable[..., Phase]
    ) -> None:
        plan = PLANNER.plan(replace(taskboard, phases=(phase("one", "parallel", "a<ghost"),)), template)
        assert "a waits for ghost, which no phase has; it does not wait." in plan.assumptions

    def test_a_phase_later_than_its_window_is_said(
        self, taskboard: Blueprint, template: TemplatePackage, phase: Callable[..., Phase]
    ) -> None:
        narrow = replace(phase("quality", "parallel", "tests"), window_minutes=(0, 0))
        plan = PLANNER.plan(
            replace(taskboard, phases=(narrow,), constraints=Constraints(max_build_seconds=1)), template
        )
        assert any("its window ends at 0" in said for said in plan.assumptions)
        assert any("over max_build_time (1 s)" in said for said in plan.assumptions)

    def test_more_phases_than_anyone_reads_are_refused(
        self, taskboard: Blueprint, template: TemplatePackage, phase: Callable[..., Phase]
    ) -> None:
        many = tuple(phase(f"p{n}", "parallel") for n in range(1001))
        with pytest.raises(PlanError, match="fewer, larger"):
            PLANNER.plan(replace(taskboard, phases=many), template)

    def test_lines_of_phases_shape_the_plan(
        self, taskboard: Blueprint, template: TemplatePackage, seed_phases: tuple[Phase, ...]
    ) -> None:
        nodes = (
            Node(path="phases.phase_1_foundation.blocking", line=1, part="phase:phase_1_foundation"),
            Node(path="phases.other", line=2),
        )
        plan = PLANNER.plan(replace(taskboard, phases=seed_phases, nodes=nodes), template)
        assert plan.applied == ("phases.phase_1_foundation.blocking",)
