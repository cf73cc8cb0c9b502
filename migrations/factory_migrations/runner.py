"""Applying migrations: each in one transaction, recorded in the same, under one lock, in dependency order.

A failure stops its own app and those that stand on it, is kept in ``migration_fault`` for every later process to see, and
leaves the other apps alone. What is applied with other SQL than the migration has now is replaced where that is safe, and
else reported as outdated.
"""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, redirect_stdout
from typing import Any

from msgspec.structs import replace
from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.conf.apps import AppConfig

from factory_core.contracts.migrator import MigrationState
from factory_core.kernel.database import DB, Connection
from factory_migrations import digests
from factory_migrations.errors import AppStillNeeded, AppUnknown, MigrationUnknown
from factory_migrations.files import Step, dependencies, in_order, refuse_clashes, register, steps_of

# Any 64-bit number of our own will do: it is what concurrent starters of one database queue up at.
LOCK = 0x666163746F7279
ZERO = "zero"

_BOOKS = """
CREATE TABLE IF NOT EXISTS migration (
    id SERIAL PRIMARY KEY, name VARCHAR(200) NOT NULL DEFAULT '', app_name VARCHAR(200) NOT NULL DEFAULT '',
    ran_on TIMESTAMP NOT NULL DEFAULT current_timestamp);
CREATE TABLE IF NOT EXISTS migration_fault (
    app_name TEXT PRIMARY KEY, name TEXT NOT NULL, error TEXT NOT NULL, at TIMESTAMPTZ NOT NULL DEFAULT now());
"""


class Runner:
    """Implements ``contracts.migrator.Migrator`` on the database that is open in this process."""

    def __init__(self, apps: Sequence[AppConfig]) -> None:
        self._apps = in_order(apps)
        register(self._apps)

    async def up(self, app: str | None = None) -> tuple[MigrationState, ...]:
        """Apply what is missing, of one app and what it stands on, or of all."""
        chosen = self._apps if app is None else self._with_dependencies(self._app(app))
        async with _locked() as connection:
            await connection.execute(_BOOKS + digests.BOOK)
        states: list[MigrationState] = []
        failed: set[str] = set()
        seen: dict[str, str] = {}
        for each in chosen:
            broken = dependencies(each) & failed
            reason = f"it stands on {', '.join(sorted(broken))}, whose migrations failed" if broken else ""
            states += await self._up_one(each, seen, reason)
            if states and states[-1].error:
                failed.add(each.app_name)
        return tuple(states)

    async def down(self, app: str, to: str) -> tuple[MigrationState, ...]:
        """Take back the migrations of an app after ``to``, the latest first."""
        config = self._app(app)
        applied = [name for owner, name in await _applied() if owner == app]
        if to != ZERO and to not in applied:
            raise MigrationUnknown(app, to, tuple(applied))
        if to == ZERO:
            await self._refuse_if_needed(app)
        steps = {step.name: step for step in steps_of(config)}
        undone = applied if to == ZERO else applied[applied.index(to) + 1 :]
        for name in reversed(undone):
            if name not in steps:
                raise MigrationUnknown(app, name, tuple(steps))
            await _take_back(steps[name])
        return tuple(state for state in await self.status() if state.app == app)

    async def status(self) -> tuple[MigrationState, ...]:
        """Every migration of every app: applied, missing, or failed when last tried."""
        applied = set(await _applied())
        faults = await _faults()
        async with _reading() as connection:
            known = await digests.recorded(connection)
        states: list[MigrationState] = []
        for app in self._apps:
            name, error = faults.get(app.app_name, ("", ""))
            try:
                found = _judged(steps_of(app), applied, known)
            except Exception as broken:  # noqa: BLE001  # a migration file is someone else's code
                found = [MigrationState(app=app.app_name, name="?", applied=False)]
                name, error = "?", _words(broken)
            states += [replace(state, error=error) if state.name == name else state for state in found]
        return tuple(states)

    async def _up_one(self, app: AppConfig, seen: dict[str, str], reason: str) -> list[MigrationState]:
        states: list[MigrationState] = []
        name = "?"
        try:
            steps = steps_of(app)
            refuse_clashes(steps, seen)
            for before, step in zip([None, *steps], steps, strict=False):
                name = step.file.stem
                name = step.name
                if reason:
                    raise RuntimeError(reason)
                states.append(await _apply(step, before.name if before else ZERO))
                if states[-1].outdated:
                    return states  # what comes after stands on it
        except Exception as broken:  # noqa: BLE001  # a migration is someone else's code; its failure is its app's alone
            states.append(MigrationState(app=app.app_name, name=name, applied=False, error=_words(broken)))
            await _note_fault(app.app_name, name, _words(broken))
        else:
            await _forget_fault(app.app_name)
        return states

    def _app(self, name: str) -> AppConfig:
        for app in self._apps:
            if app.app_name == name:
                return app
        raise AppUnknown(name, tuple(app.app_name for app in self._apps))

    def _with_dependencies(self, app: AppConfig) -> list[AppConfig]:
        wanted = {app.app_name}
        for each in reversed(self._apps):
            if each.app_name in wanted:
                wanted |= dependencies(each)
        return [each for each in self._apps if each.app_name in wanted]

    async def _refuse_if_needed(self, app: str) -> None:
        applied = {owner for owner, _ in await _applied()}
        dependents = [a.app_name for a in self._apps if app in dependencies(a) and a.app_name in applied]
        if dependents:
            raise AppStillNeeded(app, tuple(dependents))


@asynccontextmanager
async def _locked() -> AsyncGenerator[Connection, None]:
    """A transaction that no other migrating process is in. The lock ends with it, whatever pooler is between."""
    transaction: Any
    async with DB.transaction() as transaction:
        connection: Connection = transaction.connection
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        yield connection


async def _apply(step: Step, before: str) -> MigrationState:
    async with _locked() as connection:
        done = "SELECT 1 FROM migration WHERE app_name = $1 AND name = $2"
        if await connection.fetchval(done, step.app, step.name):
            return await _renew(connection, step, before)
        await _run(step, backwards=False)
        await connection.execute(
            "INSERT INTO migration (name, app_name) VALUES ($1, $2)", step.name, step.app
        )
        await digests.keep(connection, step)
        return MigrationState(app=step.app, name=step.name, applied=True)


async def _renew(connection: Connection, step: Step, before: str) -> MigrationState:
    """How an applied step stands, after what may be replaced was replaced."""
    known = await digests.recorded(connection)
    state = digests.judge(step, before, known, applied=True)
    ours, theirs = step.digests, known.get((step.app, step.name))
    if state.outdated and ours and theirs and ours.fixed == theirs.fixed:
        await step.module.renew()
        await digests.keep(connection, step)
        return MigrationState(app=step.app, name=step.name, applied=True)
    return state


def _judged(
    steps: Sequence[Step], applied: set[tuple[str, str]], known: Mapping[tuple[str, str], digests.Digests]
) -> list[MigrationState]:
    before = [ZERO, *(step.name for step in steps)]
    return [
        digests.judge(step, last, known, applied=(step.app, step.name) in applied)
        for last, step in zip(before, steps, strict=False)
    ]


async def _take_back(step: Step) -> None:
    async with _locked() as connection:
        await _run(step, backwards=True)
        await connection.execute(
            "DELETE FROM migration WHERE app_name = $1 AND name = $2", step.app, step.name
        )
        await connection.execute(digests.BOOK)  # a database that was migrated before there was one
        await digests.forget(connection, step)


async def _run(step: Step, *, backwards: bool) -> None:
    """Piccolo's manager joins the transaction that is open, and prints what nobody asked for."""
    with redirect_stdout(io.StringIO()):
        manager: Any = await step.module.forwards()
        if isinstance(manager, MigrationManager):
            await manager.run(backwards=backwards)


async def _applied() -> list[tuple[str, str]]:
    """App and name of every applied migration, the oldest first."""
    async with _reading() as connection:
        if await connection.fetchval("SELECT to_regclass('migration')") is None:
            return []
        rows = await connection.fetch("SELECT app_name, name FROM migration ORDER BY id")
    return [(row["app_name"], row["name"]) for row in rows]


async def _faults() -> dict[str, tuple[str, str]]:
    async with _reading() as connection:
        if await connection.fetchval("SELECT to_regclass('migration_fault')") is None:
            return {}
        rows = await connection.fetch("SELECT app_name, name, error FROM migration_fault")
    return {row["app_name"]: (row["name"], row["error"]) for row in rows}


@asynccontextmanager
async def _reading() -> AsyncGenerator[Connection, None]:
    transaction: Any
    async with DB.transaction() as transaction:
        yield transaction.connection


async def _note_fault(app: str, name: str, error: str) -> None:
    async with _locked() as connection:
        await connection.execute(
            "INSERT INTO migration_fault (app_name, name, error) VALUES ($1, $2, $3) ON CONFLICT (app_name) "
            "DO UPDATE SET name = excluded.name, error = excluded.error, at = now()",
            app,
            name,
            error,
        )


async def _forget_fault(app: str) -> None:
    async with _locked() as connection:
        await connection.execute("DELETE FROM migration_fault WHERE app_name = $1", app)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
