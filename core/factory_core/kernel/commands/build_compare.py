"""Printing two builds side by side: what differs, and how long it took."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from uuid import UUID

import msgspec
import rich_click as click
from rich.console import Console
from rich.table import Table

from factory_core.builds.comparison import BuildComparison, Pair, Side, TaskPair
from factory_core.kernel.boot import Studio
from factory_core.kernel.commands.output import open_console
from factory_core.kernel.database import LOCAL_ORGANISATION
from factory_core.kernel.office import open_service
from factory_core.plain import said

__all__ = ["print_comparison"]

LONGEST_LIST = 30
"""Lines of a list for people; the rest is counted. Programs get all."""


def print_comparison(studio: Studio, left: UUID, right: UUID, *, as_json: bool) -> None:
    """What differs between two builds; as JSON everything."""

    async def fetch() -> BuildComparison:
        async with open_service(studio) as service:
            return await service.compare(LOCAL_ORGANISATION, left, right)

    found = asyncio.run(fetch())
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    console = open_console()
    console.print(_heads(found))
    _print_pairs(console, "requirements", found.requirements)
    _print_pairs(console, "gates", found.gates)
    _print_files(console, found)
    _print_tasks(console, found.tasks)


def _heads(found: BuildComparison) -> Table:
    table = Table("", "left", "right")
    sides = (found.left, found.right)
    table.add_row("build", *(said(str(side.build)) for side in sides))
    table.add_row("project", *(said(side.name) for side in sides))
    table.add_row("state", *(said(side.state.value) for side in sides))
    table.add_row("seconds", *(_seconds(side.seconds) for side in sides))
    if not all(side.reported for side in sides):
        table.add_row("report", *(_reported(side) for side in sides))
    return table


def _reported(side: Side) -> str:
    return "yes" if side.reported else "none: no requirements, no gates"


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f}"


def _print_pairs(console: Console, title: str, pairs: Iterable[Pair]) -> None:
    every = tuple(pairs)
    differing = [pair for pair in every if not pair.same]
    console.print(said(f"{title}: {len(every) - len(differing)} the same, {len(differing)} differ"))
    for pair in differing[:LONGEST_LIST]:
        console.print(said(f"  {pair.id}: {pair.left or 'none'} -> {pair.right or 'none'}"))
    _print_rest(console, len(differing))


def _print_files(console: Console, found: BuildComparison) -> None:
    files = found.files
    lists = (("+", files.added), ("~", files.changed), ("-", files.removed))
    counts = f"{len(files.added)} added, {len(files.changed)} changed, {len(files.removed)} removed"
    console.print(said(f"files: {files.same} the same, {counts}"))
    lines = [f"  {mark} {path}" for mark, paths in lists for path in paths]
    for line in lines[:LONGEST_LIST]:
        console.print(said(line))
    _print_rest(console, len(lines))


def _print_tasks(console: Console, tasks: Iterable[TaskPair]) -> None:
    ran = [task for task in tasks if task.left_seconds is not None or task.right_seconds is not None]
    ran.sort(key=lambda task: -max(task.left_seconds or 0.0, task.right_seconds or 0.0))
    table = Table("task, longest first", "left", "s", "right", "s")
    for task in ran[:10]:
        left, right = (state.value if state else "" for state in (task.left, task.right))
        table.add_row(said(task.id), left, _seconds(task.left_seconds), right, _seconds(task.right_seconds))
    console.print(table)


def _print_rest(console: Console, count: int) -> None:
    if count > LONGEST_LIST:
        console.print(said(f"  … {count - LONGEST_LIST} more; --json has all"))
