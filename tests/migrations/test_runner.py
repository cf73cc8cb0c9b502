from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from piccolo.conf.apps import AppConfig

from factory_core.kernel.database import Database
from factory_migrations.errors import AppStillNeeded, AppUnknown, MigrationUnknown
from factory_migrations.runner import Runner

pytestmark = pytest.mark.anyio
WriteApp = Callable[..., AppConfig]

NOTES = {
    "notes_1": ("CREATE TABLE note (id int)", "DROP TABLE note"),
    "notes_2": ("ALTER TABLE note ADD body text", "ALTER TABLE note DROP body"),
}


async def columns(opened: Database, table: str) -> list[str]:
    rows = await opened.pool.fetch(
        "SELECT column_name FROM information_schema.columns WHERE table_name = $1 ORDER BY 1", table
    )
    return [row["column_name"] for row in rows]


async def test_up_applies_everything_once_and_down_takes_it_back(
    opened: Database, write_app: WriteApp
) -> None:
    runner = Runner([write_app("notes", **NOTES)])
    assert [(s.name, s.applied) for s in await runner.status()] == [("notes_1", False), ("notes_2", False)]
    assert [(s.name, s.applied) for s in await runner.up()] == [("notes_1", True), ("notes_2", True)]
    assert all(s.applied for s in await runner.up())
    assert await columns(opened, "note") == ["body", "id"]
    states = await runner.down("notes", "notes_1")
    assert [(s.name, s.applied) for s in states] == [("notes_1", True), ("notes_2", False)]
    assert await columns(opened, "note") == ["id"]
    await runner.down("notes", "zero")
    assert await columns(opened, "note") == []
    await runner.up()
    assert await columns(opened, "note") == ["body", "id"]


async def test_an_app_is_migrated_after_those_it_stands_on(opened: Database, write_app: WriteApp) -> None:
    child = write_app(
        "a_child", after=("z_parent",), a_1=("CREATE TABLE c (id int REFERENCES p)", "DROP TABLE c")
    )
    parent = write_app("z_parent", z_1=("CREATE TABLE p (id int PRIMARY KEY)", "DROP TABLE p"))
    runner = Runner([child, parent])
    assert [(s.app, s.error) for s in await runner.up("a_child")] == [("z_parent", ""), ("a_child", "")]
    with pytest.raises(AppStillNeeded, match="a_child"):
        await runner.down("z_parent", "zero")


async def test_a_failing_migration_leaves_nothing_behind_and_other_apps_alone(
    opened: Database, write_app: WriteApp
) -> None:
    broken = write_app(
        "broken", broken_1=("CREATE TABLE half (id int)", ""), broken_2=("CREATE TABLE half (id int)", "")
    )
    standing = write_app(
        "standing", after=("broken",), standing_1=("CREATE TABLE s (id int)", "DROP TABLE s")
    )
    runner = Runner([broken, standing, write_app("notes", **NOTES)])
    errors = {s.name: s.error for s in await runner.up()}
    assert "already exists" in errors["broken_2"]
    assert "it stands on broken" in errors["standing_1"]
    assert errors["notes_2"] == ""
    assert await columns(opened, "s") == []
    assert await columns(opened, "half") == ["id"], "the first migration was whole and stays"


async def test_a_failure_is_seen_by_the_next_process_until_it_is_mended(
    opened: Database, write_app: WriteApp
) -> None:
    await Runner([write_app("notes", notes_9=("CREATE TABEL x", ""))]).up()
    seen = await Runner([write_app("notes", notes_9=("CREATE TABEL x", ""))]).status()
    assert "syntax error" in seen[0].error
    mended = Runner([write_app("notes", notes_9=("CREATE TABLE x (id int)", "DROP TABLE x"))])
    assert [s.error for s in await mended.up()] == [""]
    assert [(s.applied, s.error) for s in await mended.status()] == [(True, "")]


async def test_two_files_of_one_name_in_two_apps_are_refused(opened: Database, write_app: WriteApp) -> None:
    first = write_app("first", initial=("CREATE TABLE f1 (id int)", ""))
    second = write_app("second", initial=("CREATE TABLE f2 (id int)", ""))
    errors = {s.app: s.error for s in await Runner([first, second]).up()}
    assert errors["first"] == ""
    assert "initial.py" in errors["second"]


async def test_a_file_that_cannot_be_imported_is_its_apps_fault(
    opened: Database, write_app: WriteApp
) -> None:
    runner = Runner([write_app("bad", bad_1="import nothing_of_this_name"), write_app("notes", **NOTES)])
    errors = {s.app: s.error for s in await runner.up()}
    assert "nothing_of_this_name" in errors["bad"]
    assert errors["notes"] == ""
    assert "nothing_of_this_name" in {s.app: s.error for s in await runner.status()}["bad"]


async def test_two_processes_starting_at_once_apply_each_migration_once(
    opened: Database, write_app: WriteApp
) -> None:
    app = write_app("notes", **NOTES)
    results = await asyncio.gather(*(Runner([app]).up() for _ in range(4)))
    assert {s.error for states in results for s in states} == {""}
    assert await opened.pool.fetchval("SELECT count(*) FROM migration") == 2


async def test_what_does_not_exist_is_named(opened: Database, write_app: WriteApp) -> None:
    runner = Runner([write_app("notes", **NOTES)])
    with pytest.raises(AppUnknown, match="There are: notes"):
        await runner.up("nots")
    await runner.up()
    with pytest.raises(MigrationUnknown, match="notes_1, notes_2"):
        await runner.down("notes", "notes_7")
