"""Plans for people and programs: a tree, tables, JSON and Graphviz."""

from __future__ import annotations

from typing import Any

import msgspec
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from factory_core.contracts.plan import BARRIER, COORDINATOR, QUIET, Plan, PlannedTask, Team
from factory_core.plain import plain, said

from .quote import CORES, estimate_seconds

__all__ = ["everything", "headline", "regions", "table", "teams", "to_dot", "to_json", "tree"]

WIDE = 120
"""From this many columns on there is room to say when and for what a task is done."""
EVERYWHERE = ("task", "agent", "team", "seconds")
TIMES = ("not before", "deadline")
FOLDED = {"after": 24, "requirements": 12}
"""Columns that may take several lines, and how narrow they may get."""
GAP = 2


def everything(plan: Plan, *, width: int) -> RenderableType:
    """The plan for a terminal of that width: phases, tasks, the longest chain, teams, and what the planner has to say."""
    parts: list[RenderableType] = [
        Text(headline(plan), style="bold"),
        Text(),
        tree(plan),
        Text(),
        table(plan, width=width),
        Text("longest chain", style="italic"),
        Padding(said(" → ".join(_chain(plan))), (0, 0, 1, 2)),
        teams(plan),
        *([regions(plan)] if plan.regions else []),
    ]
    parts.extend(said(f"note: {each}", style="yellow") for each in plan.assumptions)
    return Group(*parts)


def headline(plan: Plan) -> str:
    """The plan in one sentence and the quote in another."""
    quote = plan.quote
    work = _count(quote.tasks, "task")
    hands = "one agent" if quote.agents == 1 else f"{quote.agents} agents"
    scaled = f" Agents are scaled to {plan.scale:.2f} of what was asked for." if plan.scale != 1 else ""
    worked = f" It works as {plan.paradigm}." if plan.regions else ""
    return (
        f"{work} for {hands} in {_count(len(plan.phases), 'phase')}: "
        f"about {estimate_seconds(quote):.1f} s on {CORES} cores, ${quote.nano_usd / 1e9:.2f}.\n"
        f"All work takes {quote.total_seconds:.1f} s, the longest chain {quote.critical_seconds:.1f} s.{scaled}{worked}"
    )


def tree(plan: Plan) -> RenderableType:
    """The phases with their tasks, barriers left out, the longest chain in bold. Ids first, so that they are never cut."""
    root = Tree("plan", hide_root=True)
    critical = frozenset(plan.critical_path)
    for phase in plan.phases:
        tasks = [task for task in plan.tasks if task.phase == phase and task.agent != BARRIER]
        work = sum(task.agent != COORDINATOR for task in tasks)
        branch = root.add(said(f"{phase}  ({_count(work, 'task')})", style="cyan"))
        for task in tasks:
            style = "bold" if task.id in critical else "dim" if task.agent in QUIET else ""
            branch.add(said(_line(task), style=style, no_wrap=True, overflow="ellipsis"))
    return root


def table(plan: Plan, *, width: int) -> RenderableType:
    """One row for each task that an agent does. Columns that would break an id are left out."""
    tasks = [task for task in plan.tasks if task.agent not in QUIET]
    columns = _columns(tasks, width)
    rows = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="italic")
    for name in columns:
        justify = "right" if name in ("seconds", *TIMES) else "left"
        rows.add_column(name, no_wrap=name not in FOLDED, justify=justify, min_width=FOLDED.get(name))
    for task in tasks:
        rows.add_row(*(said(_cell(task, name)) for name in columns))
    return Padding(rows, (0, 0, 1, 0))


def teams(plan: Plan) -> RenderableType:
    """How many agents each team was to have, and how many it gets."""
    rows = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="italic")
    rows.add_column("team")
    for name in ("asked", "granted"):
        rows.add_column(name, justify="right")
    for team in plan.teams:
        rows.add_row(said(team.name), _asked(team), f"-> {team.agents}")
    return rows


def regions(plan: Plan) -> RenderableType:
    """How each region works, and why."""
    rows = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="italic")
    for name in ("region", "paradigm", "tasks", "because"):
        rows.add_column(name, justify="right" if name == "tasks" else "left")
    for region in plan.regions:
        cells = (region.name, region.paradigm, str(len(region.tasks)), region.reason)
        rows.add_row(*(said(cell) for cell in cells))
    return Padding(rows, (1, 0, 1, 0))


def _columns(tasks: list[PlannedTask], width: int) -> list[str]:
    """As many columns as fit beside whole ids, the most telling first; the last three in a wide terminal only."""
    room = width - _width(tasks, "task")
    chosen = {"task"}
    timed = [name for name in TIMES if any(_cell(task, name) for task in tasks)]
    for name in ("seconds", "agent", *timed, "team", "phase", "after", "requirements"):
        needed = GAP + (FOLDED.get(name) or _width(tasks, name))
        if (name in EVERYWHERE or width >= WIDE) and needed <= room:
            chosen.add(name)
            room -= needed
    return [name for name in (*EVERYWHERE, *TIMES, "phase", "after", "requirements") if name in chosen]


def _width(tasks: list[PlannedTask], column: str) -> int:
    return max([len(column), *(len(_cell(task, column)) for task in tasks)])


def _cell(task: PlannedTask, column: str) -> str:
    cells = {
        "task": task.id,
        "agent": task.agent,
        "team": task.team,
        "seconds": f"{task.seconds:.2f}",
        "not before": f"{task.delay:.1f}" if task.delay else "",
        "deadline": f"{task.deadline_seconds:.0f}" if task.deadline_seconds else "",
        "phase": task.phase,
        "after": _few(task.after),
        "requirements": ", ".join(task.requirements),
    }
    return cells[column]


def _asked(team: Team) -> str:
    if team.percent:
        return f"{team.percent:g} %"
    if not team.asked_high:
        return "-"
    return f"{team.asked_low}" if team.asked_low == team.asked_high else f"{team.asked_low}-{team.asked_high}"


def _chain(plan: Plan) -> list[str]:
    quiet = {task.id for task in plan.tasks if task.agent in QUIET}
    return [task for task in plan.critical_path if task not in quiet]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def to_json(plan: Plan) -> dict[str, Any]:
    """What ``studio plan --json`` prints (architecture.md, section 10)."""
    return {
        "tasks": [
            {
                "id": task.id,
                "agent": task.agent,
                "team": task.team,
                "phase": task.phase,
                "after": list(task.after),
                "requirements": list(task.requirements),
                **({"not_before": task.delay} if task.delay else {}),
                **({"deadline": task.deadline_seconds} if task.deadline_seconds else {}),
            }
            for task in plan.tasks
        ],
        "quote": {
            **msgspec.to_builtins(plan.quote),
            "cores": CORES,
            "seconds": estimate_seconds(plan.quote),
        },
        "scale": plan.scale,
        "paradigm": plan.paradigm,
        "regions": msgspec.to_builtins(plan.regions),
        "behaviours": plan.behaviours,
        "assumptions": list(plan.assumptions),
    }


def to_dot(plan: Plan) -> str:
    """The graph for Graphviz, a cluster for each phase; edges that others imply are left out."""
    lines = ["digraph plan {", "  rankdir=LR;", '  node [shape=box, style=rounded, fontname="sans-serif"];']
    for number, phase in enumerate(plan.phases):
        lines.append(f"  subgraph cluster_{number} {{")
        lines.append(f"    label={_quoted(phase)};")
        lines.extend(f"    {_node(task)};" for task in plan.tasks if task.phase == phase)
        lines.append("  }")
    critical = set(zip(plan.critical_path, plan.critical_path[1:], strict=False))
    for earlier, later in _needed_edges(plan.tasks):
        bold = " [penwidth=2.5]" if (earlier, later) in critical else ""
        lines.append(f"  {_quoted(earlier)} -> {_quoted(later)}{bold};")
    return "\n".join([*lines, "}", ""])


def _needed_edges(tasks: tuple[PlannedTask, ...]) -> list[tuple[str, str]]:
    above: dict[str, frozenset[str]] = {}
    edges: list[tuple[str, str]] = []
    for task in tasks:
        implied = frozenset[str]().union(*(above[earlier] for earlier in task.after))
        above[task.id] = implied.union(task.after)
        edges.extend((earlier, task.id) for earlier in task.after if earlier not in implied)
    return edges


def _node(task: PlannedTask) -> str:
    if task.agent in QUIET:
        return f"{_quoted(task.id)} [label={_quoted(task.title)}, shape=plaintext]"
    return f"{_quoted(task.id)} [label={_quoted(task.title)}, tooltip={_quoted(task.team)}]"


def _quoted(text: str) -> str:
    """A Graphviz string: backslashes and quotes escaped, control characters as spaces."""
    return '"' + plain(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _line(task: PlannedTask) -> str:
    if task.agent == COORDINATOR:
        return f"· {task.title}"
    return f"{task.id}  {task.title}  [{task.agent}, {task.team}]" + (" optional" if task.optional else "")


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
