from __future__ import annotations

import msgspec
import pytest
from rich.console import Console

from factory_core.contracts.blueprint import Blueprint, Phase
from factory_core.contracts.plan import Plan, Team
from factory_core.contracts.template import TemplatePackage
from factory_core.planning import HierarchicalPlanner
from factory_core.planning.show import everything, headline, table, teams, to_dot, to_json, tree

replace = msgspec.structs.replace


def printed(renderable: object, width: int = 220) -> str:
    console = Console(width=width, record=True, file=None, quiet=False, force_terminal=False)
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
    assert "models/Card  Models: Card  [builder, backend]" in text
    assert "build database layer" in text
    assert "barrier" not in text


def test_the_table_has_a_row_for_each_agent(taskboard: Blueprint, template: TemplatePackage) -> None:
    plan = make(taskboard, template)
    text = printed(table(plan, width=220))
    assert all(task.id in text for task in plan.tasks if task.agent not in ("barrier", "coordinator"))


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_no_width_breaks_an_id(taskboard: Blueprint, template: TemplatePackage, width: int) -> None:
    plan = make(taskboard, template)
    lines = printed(table(plan, width=width), width).splitlines()
    ids = [task.id for task in plan.tasks if task.agent not in ("barrier", "coordinator")]
    assert [line.split()[0] for line in lines[1:] if line.strip() and not line.startswith(" ")] == ids
    assert all(len(line) <= width for line in lines)


def test_a_narrow_terminal_sees_who_and_how_long_and_a_wide_one_everything(
    taskboard: Blueprint, template: TemplatePackage
) -> None:
    plan = make(taskboard, template)
    narrow, wide = (
        printed(table(plan, width=width), width).split("\n", 1)[0].split() for width in (119, 180)
    )
    assert narrow == ["task", "agent", "team", "seconds"]
    assert wide == ["task", "agent", "team", "seconds", "phase", "after", "requirements"]


def test_the_headline_is_said_once_and_counts_in_english(
    taskboard: Blueprint, template: TemplatePackage
) -> None:
    plan = make(taskboard, template)
    text = printed(everything(plan, width=220))
    assert text.count(headline(plan).splitlines()[0]) == 1
    assert "(1 task)" in text
    assert "(1 tasks)" not in text
    alone = replace(plan, phases=("deliver",), quote=replace(plan.quote, tasks=1, agents=1))
    assert headline(alone).startswith("1 task for one agent in 1 phase: ")


def test_teams_show_what_was_asked_beside_what_is_granted(
    taskboard: Blueprint, template: TemplatePackage
) -> None:
    asked = (
        Team(name="core", agents=9, asked_low=15, asked_high=20),
        Team(name="quality", agents=4, percent=12.5),
    )
    lines = printed(teams(replace(make(taskboard, template), teams=asked))).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["core", "15-20", "->", "9"],
        ["quality", "12.5", "%", "->", "4"],
    ]


def test_what_the_planner_has_to_say_is_printed(taskboard: Blueprint, template: TemplatePackage) -> None:
    plan = replace(make(taskboard, template), assumptions=("swarm is not followed yet",))
    assert "note: swarm is not followed yet" in printed(everything(plan, width=80), 80)


def test_markup_in_names_is_shown_as_it_is(taskboard: Blueprint, template: TemplatePackage) -> None:
    case = replace(taskboard.acceptance[0], name="[red]a[/red] [/")
    plan = make(replace(taskboard, acceptance=(case,)), template)
    assert "[red]a[/red] [/" in printed(tree(plan))
    assert "a-red" in printed(table(plan, width=220))


def test_json_has_exactly_the_documented_keys(taskboard: Blueprint, template: TemplatePackage) -> None:
    document = to_json(make(taskboard, template))
    keys = ["tasks", "quote", "scale", "paradigm", "regions", "behaviours", "assumptions"]
    assert list(document) == keys
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
