"""The journal, version 2: shares and limits, pauses, forks, dead letters, archives."""

from typing import Any

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from factory_migrations.core.scripts import FUNCTIONS_V1, FUNCTIONS_V2, TABLES_V2, V2, run_scripts

ID = "core_2026_11_21t00_00_00_000000"
VERSION = "1.38.0"
DESCRIPTION = "The journal, version 2"
SCRIPTS = TABLES_V2
RENEWABLE = FUNCTIONS_V2


async def renew() -> None:
    """Replace the functions."""
    await run_scripts(*RENEWABLE)


async def forwards() -> MigrationManager:
    manager: Any = MigrationManager(migration_id=ID, app_name="core", description=DESCRIPTION)

    async def up() -> None:
        await run_scripts(*V2)

    async def down() -> None:
        await run_scripts(V2[0].with_name("undo.sql"), *FUNCTIONS_V1)

    manager.add_raw(up)
    manager.add_raw_backwards(down)
    return manager
