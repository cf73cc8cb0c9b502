"""Who follows a build waits for a database that is away, and for nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from factory_core.errors import DatabaseOutdated
from factory_core.kernel.boot import start
from factory_core.kernel.commands.build_follow import BuildWatch
from factory_core.settings import read_sources

pytestmark = pytest.mark.anyio


class Face:
    """What a person reads."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def face() -> Any:
    return Face()


@pytest.fixture
def watch(home: Path, database: str) -> Any:
    sources = read_sources({"FACTORY_HOME": str(home), "FACTORY_DATABASE_URL": database})
    attached: Any = None
    return BuildWatch(start(sources, found=[]), attached, as_json=False)


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Any]:
    library: Any = asyncpg
    async with library.create_pool(database, min_size=2, max_size=2) as pool:
        yield pool


@pytest.mark.parametrize(
    "query",
    ["select journal.no_such_function()", "select 1 from no_such_table", "select pg_backend_pid(1, 2)"],
    ids=["schema", "table", "function"],
)
async def test_what_the_database_does_not_have_is_told_at_once(
    query: str, watch: Any, pool: Any, face: Any
) -> None:
    with pytest.raises(DatabaseOutdated, match=r"does not exist.*studio migrate status"):
        await watch._patient(lambda: pool.fetchval(query), face)
    assert face.notes == []


async def test_a_wrong_question_is_told_at_once(watch: Any, pool: Any, face: Any) -> None:
    with pytest.raises(asyncpg.DivisionByZeroError):
        await watch._patient(lambda: pool.fetchval("select 1 / 0"), face)
    with pytest.raises(asyncpg.DataError):
        await watch._patient(lambda: pool.fetchval("select $1::int", "one"), face)
    assert face.notes == []


async def test_a_connection_that_was_cut_is_waited_for(watch: Any, pool: Any, face: Any) -> None:
    async with pool.acquire() as held, pool.acquire() as other:
        await other.execute("select pg_terminate_backend($1)", held.get_server_pid())
        asked = [held, other]
        assert await watch._patient(lambda: asked.pop(0).fetchval("select 7"), face) == 7
    assert face.notes == ["PostgreSQL does not answer; waiting for it"]
