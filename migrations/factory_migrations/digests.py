"""Which SQL a migration was applied with, kept beside Piccolo's own table, so that a database of other code is noticed."""

from __future__ import annotations

from collections.abc import Mapping

from factory_core.contracts.migrator import MigrationState
from factory_core.kernel.database import Connection
from factory_migrations.files import Digests, Step

__all__ = ["BOOK", "Digests", "forget", "judge", "keep", "recorded"]

BOOK = """
CREATE TABLE IF NOT EXISTS migration_digest (
    app_name TEXT NOT NULL, name TEXT NOT NULL, fixed TEXT NOT NULL, renewable TEXT NOT NULL,
    PRIMARY KEY (app_name, name));
"""


async def recorded(connection: Connection) -> dict[tuple[str, str], Digests]:
    """Digests by app and name of the migration."""
    if await connection.fetchval("SELECT to_regclass('migration_digest')") is None:
        return {}
    rows = await connection.fetch("SELECT app_name, name, fixed, renewable FROM migration_digest")
    return {(row["app_name"], row["name"]): Digests(row["fixed"], row["renewable"]) for row in rows}


async def keep(connection: Connection, step: Step) -> None:
    """Note what the step has run, if it says what that is."""
    digests = step.digests
    if digests is not None:
        await connection.execute(
            "INSERT INTO migration_digest (app_name, name, fixed, renewable) VALUES ($1, $2, $3, $4) "
            "ON CONFLICT (app_name, name) DO UPDATE SET fixed = excluded.fixed, renewable = excluded.renewable",
            step.app,
            step.name,
            *digests,
        )


async def forget(connection: Connection, step: Step) -> None:
    """The step was taken back."""
    await connection.execute(
        "DELETE FROM migration_digest WHERE app_name = $1 AND name = $2", step.app, step.name
    )


def judge(
    step: Step, before: str, known: Mapping[tuple[str, str], Digests], *, applied: bool
) -> MigrationState:
    """How an applied or missing step stands. ``before``: the name of the step before it, or 'zero'."""
    ours, theirs = step.digests, known.get((step.app, step.name))
    if not applied or ours is None or ours == theirs:
        return MigrationState(app=step.app, name=step.name, applied=applied)
    if theirs is not None and theirs.fixed == ours.fixed:
        error = "its functions are of another state of the code. Replace them: studio migrate up"
    else:
        error = (
            "its tables are of another state of the code, from before this migration was final. Use a fresh home or "
            f"database, or make them anew: studio migrate down {step.app} {before}, then studio migrate up. That drops "
            "what the migration's tables hold"
        )
    return MigrationState(app=step.app, name=step.name, applied=True, error=error, outdated=True)
