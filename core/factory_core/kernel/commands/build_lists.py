"""Printing builds: the newest ones, and one of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from uuid import UUID

import msgspec
import rich_click as click
from rich.console import Console
from rich.table import Column, Table

from factory_core.builds.journal import AttemptRow, BuildRow, TaskRow
from factory_core.contracts.events import BuildState
from factory_core.kernel.boot import Studio
from factory_core.kernel.commands.output import open_console
from factory_core.kernel.database import LOCAL_ORGANISATION
from factory_core.kernel.office import open_service
from factory_core.plain import said

__all__ = ["print_build", "print_builds"]

HELD = frozenset({BuildState.PAUSED, BuildState.HALTED})
_AGAIN = "What happened: studio builds logs {id}. Run it again: studio builds retry {id}"
_NEXT = {
    BuildState.PASSED: "Fetch what it made: studio builds attach {id} --out FOLDER",
    BuildState.FAILED: _AGAIN,
    BuildState.CANCELLED: _AGAIN,
    BuildState.PAUSED: "Go on: studio builds resume {id}",
    BuildState.HALTED: "Go on: studio builds resume {id} --decision approve|reject",
}
"""What a person would do next; any other state: follow it."""


def print_builds(studio: Studio, *, as_json: bool, limit: int) -> None:
    """The newest builds, one a row."""

    async def fetch() -> tuple[BuildRow, ...]:
        async with open_service(studio) as service:
            return await service.newest(LOCAL_ORGANISATION, limit=limit)

    rows = asyncio.run(fetch())
    if as_json:
        click.echo(msgspec.json.encode(rows))
        return
    table = Table(Column("build", no_wrap=True, min_width=36), "project", "state", "started", "tasks")
    for row in rows:
        started = f"{row.created_at:%Y-%m-%d %H:%M}"
        done = f"{row.tasks - row.unfinished}/{row.tasks}"
        table.add_row(str(row.id), said(str(row.options.get("project", ""))), row.state.value, started, done)
    open_console().print(table if rows else said("No builds yet: studio build SPEC starts one."))


def print_build(studio: Studio, identity: UUID, *, as_json: bool) -> None:
    """One build with its tasks."""

    async def fetch() -> tuple[BuildRow, tuple[TaskRow, ...], tuple[AttemptRow, ...]]:
        async with open_service(studio) as service:
            row = await service.get(LOCAL_ORGANISATION, identity)
            tasks = await service.tasks(LOCAL_ORGANISATION, identity)
            attempts = await service.attempts(LOCAL_ORGANISATION, identity) if as_json else ()
            return row, tasks, attempts

    row, tasks, attempts = asyncio.run(fetch())
    if as_json:
        click.echo(msgspec.json.encode({"build": row, "tasks": tasks, "attempts": attempts}))
        return
    console = open_console()
    console.print(said(f"{row.options.get('project', '')}  {row.id}  {row.state.value}", style="bold"))
    _print_standing(console, row)
    console.print(said(_times(row)))
    phases: dict[str, Counter[str]] = {}
    for task in tasks:
        phases.setdefault(task.phase, Counter())[task.state.value] += 1
    table = Table("phase", "tasks")
    for phase, states in phases.items():
        table.add_row(said(phase), said(", ".join(f"{n} {state}" for state, n in states.items())))
    console.print(table)
    for task in tasks:
        if task.reason and task.state.value in ("failed", "quarantined"):
            console.print(said(f"{task.id}: {task.reason}", style="red"))
    console.print(said(_NEXT.get(row.state, f"Follow it: studio builds attach {row.id}").format(id=row.id)))


def _print_standing(console: Console, row: BuildRow) -> None:
    """Where it comes from, and why it stands or ended as it did."""
    if source := row.options.get("forked_from"):
        console.print(said(f"a fork of {source}"))
    if (budget := row.options.get("budget_nano_usd")) is not None:
        console.print(
            said(
                f"budget ${budget / 1e9:.2f}: the quote was within it; the studio's own agents spend nothing"
            )
        )
    if row.reason:
        console.print(said(row.reason, style="yellow"))


def _times(row: BuildRow) -> str:
    started = f"started {row.created_at:%Y-%m-%d %H:%M:%S} UTC"
    if row.ended_at is not None:
        seconds = (row.ended_at - row.created_at).total_seconds()
        return f"{started}, ended {row.ended_at:%Y-%m-%d %H:%M:%S} after {seconds:.1f} s"
    return f"{started}, has until {row.deadline_at:%Y-%m-%d %H:%M:%S}" if row.deadline_at else started
