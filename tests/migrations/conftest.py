from __future__ import annotations

import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import uuid4

import pytest
from piccolo.conf.apps import AppConfig

from factory_core.kernel.database import Database, open_database
from factory_core.settings import KernelSettings


@pytest.fixture
async def opened(database: str) -> AsyncIterator[Database]:
    async with open_database(database, KernelSettings()) as opened:
        yield opened


MIGRATION = """
from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder

ID = "{name}"

async def forwards():
    manager = MigrationManager(migration_id=ID, app_name="{app}", description="")
    async def run():
        for statement in {up!r}:
            await engine_finder().run_ddl(statement)
    async def undo():
        for statement in {down!r}:
            await engine_finder().run_ddl(statement)
    manager.add_raw(run)
    manager.add_raw_backwards(undo)
    return manager
"""


@pytest.fixture
def write_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppConfig]:
    """``write_app("notes", notes_1=("CREATE …", "DROP …"), after=["other"])``: an app with migration files."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(app: str, after: tuple[str, ...] = (), **migrations: tuple[str, str] | str) -> AppConfig:
        folder = tmp_path / f"app_{app}_{uuid4().hex[:8]}"
        folder.mkdir()
        for name, content in migrations.items():
            text = (
                content
                if isinstance(content, str)
                else MIGRATION.format(name=name, app=app, up=(content[0],), down=(content[1],))
            )
            (folder / f"{name}.py").write_text(textwrap.dedent(text))
        config = AppConfig(app_name=app, migrations_folder_path=folder, migration_dependencies=[])
        config._migration_dependency_app_configs = [
            AppConfig(app_name=name, migrations_folder_path=folder) for name in after
        ]
        return config

    return write
