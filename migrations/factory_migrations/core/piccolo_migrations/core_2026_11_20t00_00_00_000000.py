"""The journal: tables, row-level security, and the functions that write builds."""

from typing import Any

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from factory_migrations.core.scripts import FUNCTIONS_V1, TABLES_V1, run_scripts

ID = "core_2026_11_20t00_00_00_000000"
VERSION = "1.38.0"
DESCRIPTION = "The journal"


async def forwards() -> MigrationManager:
    manager: Any = MigrationManager(migration_id=ID, app_name="core", description=DESCRIPTION)

    async def up() -> None:
        await run_scripts(*TABLES_V1, *FUNCTIONS_V1)

    async def down() -> None:
        await run_scripts(TABLES_V1[0].with_name("drop.sql"))

    manager.add_raw(up)
    manager.add_raw_backwards(down)
    return manager
