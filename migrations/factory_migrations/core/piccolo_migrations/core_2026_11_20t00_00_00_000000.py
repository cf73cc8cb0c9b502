"""The journal: tables, row-level security, and the functions that write builds."""

from typing import Any

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from factory_migrations.core.scripts import run_scripts

ID = "core_2026_11_20t00_00_00_000000"
VERSION = "1.38.0"
DESCRIPTION = "The journal"

UP = (
    "01_tables.sql",
    "02_tenancy.sql",
    "03_settle.sql",
    "04_submit.sql",
    "05_conclude.sql",
    "06_step.sql",
    "07_upkeep.sql",
)


async def forwards() -> MigrationManager:
    manager: Any = MigrationManager(migration_id=ID, app_name="core", description=DESCRIPTION)

    async def up() -> None:
        await run_scripts(*UP)

    async def down() -> None:
        await run_scripts("drop.sql")

    manager.add_raw(up)
    manager.add_raw_backwards(down)
    return manager
