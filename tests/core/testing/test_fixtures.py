"""The fixtures that plugin authors get."""

import asyncpg
import pytest
import redis

pytestmark = pytest.mark.anyio


async def test_a_database_is_a_real_and_empty_postgresql(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        assert (
            await connection.fetchval(
                "select count(*) from pg_class where relnamespace = 'public'::regnamespace"
            )
            == 0
        )
        await connection.execute("create table left_behind ()")
    finally:
        await connection.close()


async def test_the_next_database_knows_nothing_of_the_last(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        assert await connection.fetchval("select to_regclass('left_behind')") is None
    finally:
        await connection.close()


async def test_a_database_can_be_a_copy_of_another(database: str, make_database) -> None:
    connection = await asyncpg.connect(database)
    await connection.execute("create table notes as select 'kept' as text")
    await connection.close()

    copy = make_database(database)

    connection = await asyncpg.connect(copy)
    try:
        assert await connection.fetchval("select text from notes") == "kept"
    finally:
        await connection.close()
        make_database.drop(copy)


@pytest.mark.parametrize("turn", range(2))
def test_a_queue_is_empty_for_every_test(valkey_url: str, turn: int) -> None:
    with redis.Redis.from_url(valkey_url) as client:
        assert client.dbsize() == 0
        client.set("left", "behind")
