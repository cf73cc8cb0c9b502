from __future__ import annotations

import msgspec
from rich.console import Console

from factory_core.contracts.blueprint import Blueprint, Phase
from factory_core.contracts.plan import Plan
from factory_core.contracts.template import TemplatePackage
from factory_core.planning import HierarchicalPlanner
from factory_core.planning.show import table, to_dot, to_json, tree

replace = msgspec.structs.replace


def printed(renderable: object) -> str:
    console = Console(width=220, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def make(blueprint: Blueprint, template: TemplatePackage) -> Plan:
    return HierarchicalPlanner().plan(blueprint, template)


def test_the_tree_shows_phases_and_work_but_no_barriers(
    taskboard: Blueprint, template: TemplatePackage, seed_phases: tuple[Phase, ...]
) -> None:
    text = printed(tree(make(replace(taskboard, phases=seed_phases), template)))
    assert "phase_2_core_services  (6 tasks)" in text
    assert "Models: Card  [builder, backend]" in text
    assert "build database layer" in text
    assert "barrier" not in text


def test_the_table_has_a_row_for_each_agent(taskboard: Blueprint, template: TemplatePackage) -> None:
    plan = make(taskboard, template)
    text = printed(table(plan))
    assert all(task.id in text for task in plan.tasks if task.agent not in ("barrier", "coordinator"))


def test_markup_in_names_is_shown_as_it_is(taskboard: Blueprint, template: TemplatePackage) -> None:
    case = replace(taskboard.acceptance[0], name="[red]a[/red] [/")
    plan = make(replace(taskboard, acceptance=(case,)), template)
    assert "[red]a[/red] [/" in printed(tree(plan))
    assert "a-red" in printed(table(plan))


def test_json_has_exactly_the_documented_keys(taskboard: Blueprint, template: TemplatePackage) -> None:
    document = to_json(make(taskboard, template))
    assert list(document) == ["tasks", "quote", "scale", "assumptions"]
    assert all(
        list(task) == ["id", "agent", "team", "phase", "after", "requirements"] for task in document["tasks"]
    )
    assert document["quote"]["cores"] == 2


def test_dot_escapes_names_and_leaves_out_implied_edges(
    taskboard: Blueprint, template: TemplatePackage
) -> None:
    case = replace(taskboard.acceptance[0], name='say "hi" \\ \n end')
    dot = to_dot(make(replace(taskboard, acceptance=(case,)), template))
    assert 'label="Acceptance: say \\"hi\\" \\\\   end"' in dot
    assert '"models/Card" -> "routes/Card"' in dot
    assert '"models/Card" -> "report"' not in dot
    assert '"tuning" -> "report"' in dot
