"""A database that was migrated by other code is noticed, replaced where that is safe, and else named with what to do."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import asyncpg
import pytest
from piccolo.conf.apps import AppConfig

from factory_core.errors import DatabaseOutdated
from factory_core.kernel.boot import Studio, start
from factory_core.kernel.database import Database
from factory_core.kernel.migrate import migrate, note_failed_migrations
from factory_core.settings import read_sources
from factory_migrations.core.piccolo_app import APP_CONFIG
from factory_migrations.runner import Runner

pytestmark = pytest.mark.anyio
WriteApp = Callable[..., AppConfig]

FIRST, SECOND = "core_2026_11_20t00_00_00_000000", "core_2026_11_21t00_00_00_000000"
OLDER_FUNCTION = """
    drop function journal.tend(double precision);
    create function journal.tend(p_ttl double precision) returns integer language sql as 'select 0'"""
OLDER_TABLES = """
    drop table board, mail, archive, host_use, packed;
    drop index build_to_archive;
    alter table build drop column archived, drop column first_fence;
    alter table task drop column afresh"""
TEND = "select pg_typeof(journal.tend(20))::text"


@pytest.fixture
def boot(database: str, tmp_path: Path) -> Callable[[], Studio]:
    def boot() -> Studio:
        found = [point for point in entry_points(group="factory.plugins") if point.name == "migrations"]
        sources = read_sources({"FACTORY_HOME": str(tmp_path), "FACTORY_DATABASE_URL": database})
        return start(sources, found=found)

    return boot


async def test_functions_of_older_code_are_replaced_and_rows_stay(opened: Database) -> None:
    runner = Runner([APP_CONFIG])
    await runner.up()
    await opened.pool.execute(
        "insert into organisation (id, name) values (gen_random_uuid(), 'kept');" + OLDER_FUNCTION
    )
    await runner.up()
    assert await opened.pool.fetchval(TEND) == "integer", "nothing says that it is older"
    await opened.pool.execute("update migration_digest set renewable = 'older'")
    state = (await runner.status())[-1]
    assert (state.name, state.applied, state.outdated) == (SECOND, True, True)
    assert "studio migrate up" in state.error
    assert {(state.error, state.outdated) for state in await runner.up()} == {("", False)}
    assert await opened.pool.fetchval(TEND) == "uuid[]"
    assert await opened.pool.fetchval("select name from organisation") == "kept"
    assert {state.outdated for state in await runner.status()} == {False}


@pytest.mark.parametrize("record", ["older", "none", "no book"])
async def test_tables_of_older_code_are_named_with_the_way_out_that_works(
    record: str, opened: Database
) -> None:
    runner = Runner([APP_CONFIG])
    await runner.up()
    await opened.pool.execute(
        {
            "older": "update migration_digest set fixed = 'older'",
            "none": "delete from migration_digest",
            "no book": "drop table migration_digest",
        }[record]
    )
    await opened.pool.execute(OLDER_TABLES)
    for states in (await runner.status(), await runner.up(), await runner.status()):
        assert [(state.name, state.outdated) for state in states] == [(FIRST, False), (SECOND, True)]
        assert f"studio migrate down core {FIRST}, then studio migrate up" in states[-1].error
    assert [state.applied for state in await runner.down("core", FIRST)] == [True, False]
    assert {(state.applied, state.error) for state in await runner.up()} == {(True, "")}
    await opened.pool.execute("select archived, first_fence from build; select from board, mail, archive")


async def test_a_studio_on_an_older_database_does_not_start_and_says_why(
    boot: Callable[[], Studio], database: str
) -> None:
    await migrate(boot())
    await note_failed_migrations(boot())
    connection = await asyncpg.connect(database)
    await connection.execute("update migration_digest set renewable = 'older'")
    with pytest.raises(DatabaseOutdated, match=r"functions .* studio migrate up"):
        await note_failed_migrations(boot())
    await migrate(boot())
    await note_failed_migrations(boot())
    await connection.execute("update migration_digest set fixed = 'older'")
    for begins in (migrate, note_failed_migrations):
        with pytest.raises(DatabaseOutdated, match="studio migrate down core"):
            await begins(boot())
    await connection.close()


async def test_a_migration_that_names_no_scripts_is_not_judged(opened: Database, write_app: WriteApp) -> None:
    runner = Runner([write_app("notes", notes_1=("CREATE TABLE note (id int)", "DROP TABLE note"))])
    await runner.up()
    assert await opened.pool.fetchval("select count(*) from migration_digest") == 0
    assert [(state.applied, state.error) for state in await runner.status()] == [(True, "")]


async def test_what_stands_after_an_outdated_migration_is_not_tried(
    opened: Database, write_app: WriteApp, tmp_path: Path
) -> None:
    script = tmp_path / "table.sql"
    script.write_text("CREATE TABLE a (id int)")
    first = f"""
        from pathlib import Path
        from piccolo.engine import engine_finder
        ID = "named_1"
        SCRIPTS = (Path({str(script)!r}),)
        async def forwards():
            await engine_finder().run_ddl(SCRIPTS[0].read_text())
        """
    later = ("CREATE TABLE b (id int)", "DROP TABLE b")
    assert [s.error for s in await Runner([write_app("named", named_1=first)]).up()] == [""]
    script.write_text("CREATE TABLE a (id bigint)")
    states = await Runner([write_app("named", named_1=first, named_2=later)]).up()
    assert [(state.name, state.outdated) for state in states] == [("named_1", True)]
    assert "studio migrate down named zero" in states[0].error
    assert await opened.pool.fetchval("select to_regclass('b')") is None
