"""Plans for people and programs: a tree, a table, JSON and Graphviz."""

from __future__ import annotations

from typing import Any

import msgspec
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from factory_core.contracts.plan import Plan, PlannedTask

from .graph import BARRIER, COORDINATOR, QUIET
from .quote import CORES, estimate_seconds

__all__ = ["table", "to_dot", "to_json", "tree"]


def tree(plan: Plan) -> RenderableType:
    """The phases with their tasks, barriers left out, the critical path in bold."""
    root = Tree(Text(_headline(plan), style="bold"))
    critical = frozenset(plan.critical_path)
    for phase in plan.phases:
        tasks = [task for task in plan.tasks if task.phase == phase and task.agent != BARRIER]
        work = sum(task.agent != COORDINATOR for task in tasks)
        branch = root.add(Text(f"{phase}  ({work} tasks)", style="cyan"))
        for task in tasks:
            branch.add(Text(_line(task), style="bold" if task.id in critical else _style(task)))
    return root


def table(plan: Plan) -> RenderableType:
    """One row for each task that an agent does, and the teams below."""
    rows = Table(title=_headline(plan), title_justify="left")
    for column in ("task", "agent", "team", "phase", "after", "requirements"):
        rows.add_column(column, overflow="fold")
    rows.add_column("seconds", justify="right")
    for task in plan.tasks:
        if task.agent not in QUIET:
            cells = (
                task.id,
                task.agent,
                task.team,
                task.phase,
                _few(task.after),
                ", ".join(task.requirements),
            )
            rows.add_row(*(Text(cell) for cell in cells), f"{task.seconds:.2f}")
    return rows


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
            }
            for task in plan.tasks
        ],
        "quote": {
            **msgspec.to_builtins(plan.quote),
            "cores": CORES,
            "seconds": estimate_seconds(plan.quote),
        },
        "scale": plan.scale,
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
    plain = "".join(char if char.isprintable() else " " for char in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _headline(plan: Plan) -> str:
    quote = plan.quote
    return (
        f"{quote.agents} agents in {len(plan.phases)} phases, about {estimate_seconds(plan.quote):.1f} s on {CORES} cores "
        f"(work {quote.total_seconds:.1f} s, longest chain {quote.critical_seconds:.1f} s), "
        f"${quote.nano_usd / 1e9:.2f}, scale {plan.scale:.2f}"
    )


def _line(task: PlannedTask) -> str:
    if task.agent == COORDINATOR:
        return f"· {task.title}"
    return f"{task.title}  [{task.agent}, {task.team}]" + (" optional" if task.optional else "")


def _style(task: PlannedTask) -> str:
    return "dim" if task.agent in QUIET else ""


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
