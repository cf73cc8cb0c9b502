"""Row-level security: an organisation sees its own rows and no others, whatever is asked."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from factory_core.builds.errors import BuildMissing
from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Completion

pytestmark = pytest.mark.anyio
TABLES = ("organisation", "build", "task", "edge", "event", "memo", "attempt")


async def act_for(connection: Any, org: UUID | None) -> None:
    await connection.execute("set local role factory_tenant")
    if org is not None:
        await connection.execute("select set_config('factory.org', $1, true)", str(org))


async def counts(connection: Any, org: UUID | None) -> dict[str, int]:
    async with connection.transaction():
        await act_for(connection, org)
        return {table: await connection.fetchval(f"select count(*) from {table}") for table in TABLES}


async def run_as(connection: Any, org: UUID, statement: str, *arguments: object) -> None:
    async with connection.transaction():
        await act_for(connection, org)
        await connection.execute(statement, *arguments)


@pytest.fixture
async def filled(desk: Any, noop: Any) -> Any:
    _, started = await desk.planned([noop("a"), noop("b")], [("a", "b")])
    await desk.turn((started["a"], Completion(memo="m")))
    return desk


async def test_a_tenant_sees_its_own_rows(filled: Any) -> None:
    assert all((await counts(filled.connection, filled.org)).values())


async def test_without_an_organisation_nothing_is_seen(filled: Any) -> None:
    assert not any((await counts(filled.connection, None)).values())


async def test_after_a_transaction_with_an_organisation_nothing_is_seen(filled: Any) -> None:
    await counts(filled.connection, filled.org)
    assert not any((await counts(filled.connection, None)).values())


async def test_another_organisation_sees_nothing_of_ours(filled: Any) -> None:
    assert not any((await counts(filled.connection, uuid7())).values())


async def test_the_guard_is_the_policy(filled: Any) -> None:
    """Negative control: with the policies off, the same reading sees everything."""
    for table in TABLES[:-1]:
        await filled.connection.execute(f"alter table {table} disable row level security")
    assert all((await counts(filled.connection, uuid7())).values())


@pytest.mark.parametrize("table", TABLES[:-1])
async def test_a_tenant_cannot_write_what_the_journal_keeps(filled: Any, table: str) -> None:
    for statement in (f"delete from {table}", f"insert into {table} default values"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await run_as(filled.connection, filled.org, statement)


async def test_not_even_with_the_right_to_insert_could_a_tenant_write_for_another(filled: Any) -> None:
    await filled.connection.execute("grant insert on memo to factory_tenant")
    insert = "insert into memo (org_id, digest, result, created_at) values ($1, 'x', '{}', now())"
    other = uuid7()
    await filled.journal.found(other, "other")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await run_as(filled.connection, filled.org, insert, other)
    await run_as(filled.connection, filled.org, insert, filled.org)


async def test_a_tenant_cannot_call_the_journal(filled: Any) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await run_as(filled.connection, filled.org, "select journal.tend(0)")


async def test_reading_the_build_of_another_organisation_finds_none(filled: Any) -> None:
    build = (await filled.journal.builds(filled.org))[0].id
    stranger = uuid7()
    with pytest.raises(BuildMissing):
        await filled.journal.build(stranger, build)
    assert await filled.journal.builds(stranger) == ()
    assert await filled.journal.tasks(stranger, build) == ()
    assert await filled.journal.events(stranger, build) == ()
    assert await filled.journal.results(stranger, build) == ()
    assert await filled.journal.attempts(stranger, build) == ()


async def test_an_owner_that_is_no_superuser_serves_every_organisation(
    make_database: Any, scripts: Any, servers: Any
) -> None:
    """Forced security binds the owner too; its own policy lets the journal work, and the tenant's still holds."""
    url = make_database()
    admin: Any = await asyncpg.connect(url)
    await admin.execute("""
        do $$ begin create role plain_owner login createrole; exception when duplicate_object then null; end $$;
        do $$ begin create role factory_tenant nologin; exception when duplicate_object then null; end $$;
        grant factory_tenant to plain_owner;
        grant all on schema public to plain_owner""")
    name = await admin.fetchval("select current_database()")
    await admin.execute(f'grant create on database "{name}" to plain_owner')
    await admin.close()
    owned = url.replace("postgres@", "plain_owner@", 1).replace("//postgres:", "//plain_owner:", 1)
    await scripts(owned)
    connection: Any = await asyncpg.connect(owned)
    try:
        assert await connection.fetchval("select current_user") == "plain_owner"
        org = uuid7()
        await connection.execute("insert into organisation (id, name) values ($1, 'x')", org)
        assert (await counts(connection, org))["organisation"] == 1
        assert (await counts(connection, uuid7()))["organisation"] == 0
    finally:
        await connection.close()
        make_database.drop(url)
