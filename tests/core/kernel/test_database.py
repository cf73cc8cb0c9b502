from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from piccolo.columns import Integer
from piccolo.engine.exceptions import TransactionError
from piccolo.table import Table

from factory_core.kernel.database import DB, Database, DatabaseUnreachable, open_database
from factory_core.settings import KernelSettings

pytestmark = pytest.mark.anyio

POLICY = """
DO $$ BEGIN CREATE ROLE factory_tenant; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
CREATE TABLE thing (id int primary key, org_id uuid not null);
ALTER TABLE thing ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON thing TO factory_tenant
    USING (org_id = nullif(current_setting('factory.org', true), '')::uuid);
GRANT SELECT, INSERT ON thing TO factory_tenant;
"""
OURS, THEIRS = uuid4(), uuid4()


class Thing(Table, tablename="thing"):
    id = Integer(primary_key=True)


@pytest.fixture
async def opened(database: str) -> Database:
    async with open_database(database, KernelSettings(database_pool=2)) as opened:
        await opened.pool.execute(POLICY)
        await opened.pool.execute("INSERT INTO thing VALUES (1, $1), (2, $2)", OURS, THEIRS)
        yield opened


@pytest.mark.parametrize(("org", "seen"), [(OURS, [1]), (THEIRS, [2]), (UUID(int=0), [])])
async def test_a_tenant_sees_its_own_rows_in_sql_and_in_piccolo(
    opened: Database, org: UUID, seen: list[int]
) -> None:
    async with opened.tenant_transaction(org) as connection:
        assert [row["id"] for row in await connection.fetch("SELECT id FROM thing ORDER BY id")] == seen
        assert [row["id"] for row in await Thing.select(Thing.id)] == seen


async def test_nothing_of_a_tenant_stays_on_the_connection(opened: Database) -> None:
    for _ in range(4):
        async with opened.tenant_transaction(OURS):
            pass
    assert [row["id"] for row in await opened.pool.fetch("SELECT id FROM thing ORDER BY id")] == [1, 2]
    assert await opened.pool.fetchval("SELECT current_user <> 'factory_tenant'")
    await opened.pool.execute("SET ROLE factory_tenant; SELECT 1; RESET ROLE")


async def test_a_tenants_transaction_inside_another_is_refused(opened: Database) -> None:
    async with opened.tenant_transaction(OURS):
        with pytest.raises(TransactionError):
            async with opened.tenant_transaction(THEIRS):
                pass


async def test_an_error_takes_everything_back(opened: Database) -> None:
    async def fail() -> None:
        async with opened.transaction() as connection:
            await connection.execute("DELETE FROM thing")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await opened.pool.fetchval("SELECT count(*) FROM thing") == 2


async def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(DatabaseUnreachable, match="FACTORY_DATABASE_URL") as caught:
        async with open_database("postgresql://u:hunter2@127.0.0.1:1/x", KernelSettings()):
            pass
    assert "hunter2" not in str(caught.value)


async def test_piccolo_finds_the_engine_and_loses_it_when_the_database_is_closed(database: str) -> None:
    from piccolo.engine import engine_finder

    async with open_database(database, KernelSettings()):
        assert engine_finder() is DB
        assert DB.pool is not None
    assert DB.pool is None
