"""``studio migrate``: bring the database up to date, go back, or look."""

# pyright: reportUnknownMemberType=false
# rich-click types the parameters of its decorators loosely.

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import rich_click as click

from factory_core.contracts.migrator import MigrationState, Migrator
from factory_core.kernel.boot import start
from factory_core.kernel.database import open_database
from factory_core.kernel.servers import servers_running

MIGRATION_FAILED = 4


@click.group(cls=click.RichGroup)
def migrate() -> None:
    """Bring the database's tables up to date, take migrations back, or show where they stand."""


@migrate.command()
@click.argument("app", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the states as JSON.")
def up(app: str | None, as_json: bool) -> None:
    """Apply what is missing, and replace functions of another state of the code: of everything, or of APP and what it
    stands on."""
    _show(_run(lambda migrator: migrator.up(app)), as_json=as_json)


@migrate.command()
@click.argument("app")
@click.argument("to")
@click.option("--json", "as_json", is_flag=True, help="Print the states as JSON.")
def down(app: str, to: str, as_json: bool) -> None:
    """Take back the migrations of APP after TO; 'zero' takes back all, and the data with them."""
    _show(_run(lambda migrator: migrator.down(app, to)), as_json=as_json)


@migrate.command()
@click.option("--json", "as_json", is_flag=True, help="Print the states as JSON.")
def status(as_json: bool) -> None:
    """Show every migration: applied, missing, failed when last tried, or outdated: applied with other SQL than now."""
    _show(_run(lambda migrator: migrator.status()), as_json=as_json)


def _run(work: Callable[[Migrator], Awaitable[Sequence[MigrationState]]]) -> Sequence[MigrationState]:
    studio = start()

    async def migrated() -> Sequence[MigrationState]:
        async with open_database(studio.database_url(), studio.settings):
            return await work(studio.migrator())

    with servers_running(studio):
        return asyncio.run(migrated())


def _show(states: Sequence[MigrationState], *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(states))
    else:
        for state in states:
            word = _word(state)
            click.echo(f"{word:8} {state.app:20} {state.name}  {state.error}".rstrip())
    sys.exit(MIGRATION_FAILED if any(state.error for state in states) else 0)


def _word(state: MigrationState) -> str:
    if state.outdated:
        return "outdated"
    return "failed" if state.error else "applied" if state.applied else "missing"
