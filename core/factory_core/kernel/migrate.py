"""When migrations run, and what their failure means for the plugin they belong to."""

from __future__ import annotations

from collections.abc import Sequence

from factory_core.contracts.migrator import MigrationState
from factory_core.kernel.boot import Studio
from factory_core.kernel.database import open_database


async def migrate(studio: Studio) -> Sequence[MigrationState]:
    """Apply what is missing; switch off third parties whose migrations fail. Raises PluginFault for the platform's."""
    async with open_database(studio.database_url(), studio.settings):
        states = await studio.migrator().up()
    studio.take_back(states)
    return states


async def note_failed_migrations(studio: Studio) -> None:
    """Switch off the plugins whose migrations failed when they were last tried, here or in another process."""
    if not (studio.settings.database_url or studio.database_source()):
        return
    async with open_database(studio.database_url(), studio.settings):
        studio.take_back(await studio.migrator().status())
