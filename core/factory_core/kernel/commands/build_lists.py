"""Printing builds: the newest ones, one of them, and stopping one."""

from __future__ import annotations

import asyncio
from collections import Counter
from uuid import UUID

import msgspec
import rich_click as click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from factory_core.builds.journal import BuildRow, TaskRow
from factory_core.contracts.events import BuildState
from factory_core.kernel.boot import Studio
from factory_core.kernel.database import LOCAL_ORGANISATION
from factory_core.kernel.office import open_service

HELD = frozenset({BuildState.PAUSED, BuildState.HALTED})
__all__ = ["print_build", "print_builds", "stop_build"]


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
        table.add_row(str(row.id), Text(str(row.options.get("project", ""))), row.state.value, started, done)
    Console().print(table if rows else Text("No builds yet: studio build SPEC starts one."))


def print_build(studio: Studio, identity: UUID, *, as_json: bool) -> None:
    """One build with its tasks."""

    async def fetch() -> tuple[BuildRow, tuple[TaskRow, ...]]:
        async with open_service(studio) as service:
            return await service.get(LOCAL_ORGANISATION, identity), await service.tasks(
                LOCAL_ORGANISATION, identity
            )

    row, tasks = asyncio.run(fetch())
    if as_json:
        click.echo(msgspec.json.encode({"build": row, "tasks": tasks}))
        return
    console = Console()
    console.print(Text(f"{row.options.get('project', '')}  {row.id}  {row.state.value}", style="bold"))
    _print_standing(console, row)
    phases: dict[str, Counter[str]] = {}
    for task in tasks:
        phases.setdefault(task.phase, Counter())[task.state.value] += 1
    table = Table("phase", "tasks")
    for phase, states in phases.items():
        table.add_row(Text(phase), Text(", ".join(f"{n} {state}" for state, n in states.items())))
    console.print(table)
    for task in tasks:
        if task.reason and task.state.value in ("failed", "quarantined"):
            console.print(Text(f"{task.id}: {task.reason}", style="red"))


def _print_standing(console: Console, row: BuildRow) -> None:
    """Where it comes from, and what it waits for."""
    if source := row.options.get("forked_from"):
        console.print(Text(f"a fork of {source}"))
    if row.state in HELD:
        console.print(Text(row.reason, style="yellow"))
        answer = " --decision approve|reject" if row.state is BuildState.HALTED else ""
        console.print(Text(f"Go on: studio builds resume {row.id}{answer}"))


def stop_build(studio: Studio, identity: UUID) -> None:
    """Ask for its end."""

    async def stop() -> bool:
        async with open_service(studio) as service:
            return await service.cancel(LOCAL_ORGANISATION, identity)

    stopped = asyncio.run(stop())
    click.echo(f"Build {identity} is being cancelled." if stopped else f"Build {identity} had ended already.")
