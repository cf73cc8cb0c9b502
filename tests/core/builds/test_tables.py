"""The Piccolo tables mirror the SQL, and the migration goes up and down."""

from __future__ import annotations

from typing import Any

import pytest

from factory_core.builds.tables import TABLES, Build
from factory_core.kernel.database import open_database
from factory_core.settings import KernelSettings
from factory_migrations.core.piccolo_app import APP_CONFIG
from factory_migrations.core.scripts import FUNCTIONS_V1, TABLES_V1
from factory_migrations.runner import ZERO, Runner

pytestmark = pytest.mark.anyio
COLUMNS = "select column_name, is_nullable from information_schema.columns where table_schema = 'public' and table_name = $1"
LOOSE_KEYS = """
    select c.conname from pg_constraint c where c.contype = 'f' and not exists (
        select from pg_index i where i.indrelid = c.conrelid and i.indpred is null
            and (i.indkey::int2[])[0:array_length(c.conkey, 1) - 1] @> c.conkey)"""


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table._meta.tablename)
async def test_a_table_has_the_columns_of_the_sql(table: Any, connection: Any) -> None:
    found = {
        r["column_name"]: r["is_nullable"] == "YES"
        for r in await connection.fetch(COLUMNS, table._meta.tablename)
    }
    assert {column._meta.name: column._meta.null for column in table._meta.columns} == found


async def test_every_foreign_key_is_indexed(connection: Any) -> None:
    assert await connection.fetch(LOOSE_KEYS) == []
    await connection.execute("create table loose (build_id uuid references build (id))")
    assert [row["conname"] for row in await connection.fetch(LOOSE_KEYS)] == ["loose_build_id_fkey"]


async def test_every_table_with_an_organisation_is_guarded(connection: Any) -> None:
    query = """
        select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'org_id'
        where c.relkind = 'r' and not (c.relrowsecurity and c.relforcerowsecurity)"""
    assert await connection.fetch(query) == []
    await connection.execute("create table bare (org_id uuid)")
    assert [row["relname"] for row in await connection.fetch(query)] == ["bare"]


SHAPE = """
    select 'column', table_name, column_name, data_type || is_nullable || coalesce(column_default, '')
    from information_schema.columns where table_schema = 'public'
    union all select 'index', tablename, indexname, indexdef from pg_indexes where schemaname = 'public'
    union all select 'policy', tablename, policyname, roles::text from pg_policies
    union all select 'function', n.nspname, p.proname, md5(p.prosrc) || pg_get_function_identity_arguments(p.oid)
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'journal'
    order by 1, 2, 3, 4"""
FIRST = "core_2026_11_20t00_00_00_000000"


async def shape(opened: Any) -> list[tuple[Any, ...]]:
    """What the database looks like, without what the runner itself keeps."""
    rows = await opened.pool.fetch(SHAPE)
    return [tuple(row) for row in rows if not row[1].startswith("migration")]


async def test_the_migrations_go_up_down_and_up(database: str) -> None:
    async with open_database(database, KernelSettings()) as opened:
        runner = Runner([APP_CONFIG])
        assert {(state.error, state.applied) for state in await runner.up()} == {("", True)}
        newest = await shape(opened)
        assert {(state.error, state.applied) for state in await runner.down("core", ZERO)} == {("", False)}
        assert await shape(opened) == []
        await runner.up()
        assert await shape(opened) == newest
        async with opened.transaction():
            assert await Build.count() == 0


async def test_a_step_back_is_the_first_version_to_the_letter(database: str) -> None:
    async with open_database(database, KernelSettings()) as opened:
        runner = Runner([APP_CONFIG])
        await opened.pool.execute("".join(file.read_text() for file in (*TABLES_V1, *FUNCTIONS_V1)))
        first = await shape(opened)
        await opened.pool.execute((TABLES_V1[0].with_name("drop.sql")).read_text())
        await runner.up()
        newest = await shape(opened)
        await runner.down("core", FIRST)
        assert await shape(opened) == first
        await runner.up()
        assert await shape(opened) == newest
