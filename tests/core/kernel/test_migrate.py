"""What a failed migration means for the plugin it belongs to."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import pytest

from factory_core.kernel.boot import Studio, start
from factory_core.kernel.migrate import migrate, note_failed_migrations
from factory_core.kernel.plugins import PluginFault
from factory_core.settings import read_sources

pytestmark = pytest.mark.anyio

APP = """
from pathlib import Path
from piccolo.conf.apps import AppConfig
@hookimpl
def factory_piccolo_apps():
    return [AppConfig(app_name="half", migrations_folder_path=Path(__file__).parent / "half")]
@hookimpl
def factory_commands():
    return {"half": "half:half"}
"""
MIGRATION = """
from piccolo.engine import engine_finder
ID = "half_1"
async def forwards():
    await engine_finder().run_ddl("ALTER TABLE no_such_table ADD x int")
"""


@pytest.fixture
def boot(shelf: Any, database: str) -> Any:
    (shelf.folder / "half").mkdir()
    (shelf.folder / "half" / "half_1.py").write_text(MIGRATION)

    def boot() -> Studio:
        migrations = [point for point in entry_points(group="factory.plugins") if point.name == "migrations"]
        sources = read_sources({"FACTORY_HOME": str(shelf.home), "FACTORY_DATABASE_URL": database})
        return start(sources, found=[*migrations, *shelf.entry_points()])

    return boot


async def test_a_third_party_whose_migration_fails_is_off_here_and_in_every_later_process(
    boot: Any, shelf: Any
) -> None:
    shelf.add("half", APP)
    studio = boot()
    assert "half" in studio.commands()
    await migrate(studio)
    later = boot()
    await note_failed_migrations(later)
    for each in (studio, later):
        report = next(r for r in each.reports() if r.name == "half")
        assert not report.on
        assert "half_1" in report.cause
        assert "no_such_table" in report.cause
        assert "half" not in each.commands()


async def test_a_first_party_migration_that_fails_stops_the_boot(boot: Any, shelf: Any) -> None:
    shelf.add("half", APP, first_party=True)
    with pytest.raises(PluginFault, match="half_1"):
        await migrate(boot())
