"""Rows of builds that ended long ago, kept as files: packed, put into the storage, read back, and only then deleted.

A file is a run of compressed chunks of rows, each of one table, then an index of them, then the index's length. Rows are
what PostgreSQL tells of them, so that it can take them back as they were.
"""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import msgspec
import structlog
from msgspec import Struct

from factory_core.builds.archive import CHUNK, ONE_AT_A_TIME, ArchiveDamaged
from factory_core.builds.crashpoints import CrashPoints
from factory_core.contracts.storage import Storage

if TYPE_CHECKING:
    from factory_core.kernel.database import Connection, Pool

__all__ = ["TABLES", "Packer", "Row", "pack_rows", "put_back", "read_rows", "unpack_rows"]

TABLES = ("task", "edge", "board", "mail", "event")
"""In the order in which rows can come back: the others refer to tasks."""
MOST_ROWS = 20_000
"""After so many a turn is over: the rest is the next one's."""
CHUNK_LENGTH = 2**23
"""Characters of rows in a chunk, unless one row has more: PostgreSQL takes no more than 255 MiB of JSON at once."""
_MAGIC = b"FSROWS1\n"
_TAIL = 8
_ORDER = {
    "task": "n, id",
    "edge": "parent, child",
    "board": "key",
    "mail": "sender, round, n",
    "event": "seq",
}
_log = structlog.get_logger(__name__)

Row = tuple[str, str]
"""A table and a row of it as JSON."""


class _Chunk(Struct, frozen=True, array_like=True):
    table: str
    rows: int
    offset: int
    length: int


def pack_rows(rows: Sequence[Row]) -> bytes:
    """The file of these rows, which are sorted by table; the same bytes for the same rows."""
    parts: list[bytes] = [_MAGIC]
    index: list[_Chunk] = []
    offset = len(_MAGIC)
    for table, some in _chunks(rows):
        data = zlib.compress(_array(some).encode(), 6)
        index.append(_Chunk(table, len(some), offset, len(data)))
        parts.append(data)
        offset += len(data)
    end = zlib.compress(msgspec.json.encode(index), 6)
    return b"".join([*parts, end, len(end).to_bytes(_TAIL, "big")])


def unpack_rows(key: str, content: bytes, tables: Sequence[str] = TABLES) -> Iterator[tuple[str, str]]:
    """The chunks of a file: each a table and an array of its rows as JSON. Raises ArchiveDamaged."""
    try:
        end = len(content) - _TAIL
        table = content[end - int.from_bytes(content[end:], "big") : end]
        for chunk in msgspec.json.decode(zlib.decompress(table), type=list[_Chunk]):
            if chunk.table in tables:
                data = zlib.decompress(content[chunk.offset : chunk.offset + chunk.length])
                yield chunk.table, data.decode()
    except (zlib.error, ValueError) as error:  # msgspec's is one
        raise ArchiveDamaged(key, str(error)) from error


async def read_rows(connection: Connection, build: UUID) -> list[Row]:
    """Everything a build has in these tables. The caller's transaction tells times in UTC."""
    found: list[Row] = []
    for table in TABLES:
        query = f"select to_jsonb(t)::text as row from {table} t where build_id = $1 order by {_ORDER[table]}"  # noqa: S608 - constants
        found += [(table, record["row"]) for record in await connection.fetch(query, build)]
    return found


async def put_back(
    connection: Connection, org: UUID, build: UUID, key: str, chunks: Iterable[tuple[str, str]]
) -> bool:
    """Bring the rows of a packed build back; false when another has. One transaction, which is the caller's."""
    if not await connection.fetchval("select journal.unpack($1, $2, $3)", org, build, key):
        return False
    for table, rows in chunks:
        await connection.fetchval("select journal.put_back($1, $2)", table, rows)
    return True


class Packer:
    """Moves what old builds left out of the tables. Dying anywhere loses nothing: the next turn starts over."""

    def __init__(
        self, pool: Pool, storage: Storage, *, after_seconds: float, crash: CrashPoints | None = None
    ) -> None:
        self._pool = pool
        self._storage = storage
        self._after = after_seconds
        self._crash = crash or CrashPoints()
        self._build: UUID | None = None
        self._skipped: set[UUID] = set()
        """Builds with which it did not work; until the process starts anew, so that one does not hold up all."""

    async def turn(self, *, most: int = 20, rows: int = MOST_ROWS) -> int:
        """Pack builds, one transaction each, until there were ``most`` of them or ``rows`` rows; how many builds. 0 when
        another worker is at it. Raises what the storage raises; a build with which something is wrong is logged and left."""
        count = moved = 0
        while count < most and moved < rows:
            try:
                some = await self._pack_one()
            except (ArchiveDamaged, asyncpg.RaiseError):  # the transaction took everything back
                _log.exception("a build cannot be packed, so it is left as it is", build=str(self._build))
                self._skipped |= {self._build} if self._build else set()
                some = 0
            if some is None:
                break
            count, moved = count + 1, moved + some
        return count

    async def _pack_one(self) -> int | None:
        async with self._pool.acquire() as connection:
            opened: Any = connection  # our view of a connection knows no transactions
            async with opened.transaction():
                if not await connection.fetchval("select pg_try_advisory_xact_lock($1)", ONE_AT_A_TIME):
                    return None
                await connection.execute("set local timezone = 'UTC'")
                query = "select * from journal.packable($1, $2)"
                found = await connection.fetchrow(query, self._after, list(self._skipped))
                if found is None:
                    return None
                self._build = found["build_id"]
                moved = await self._move(connection, found)
        self._crash.reach("rows_moved")
        return moved

    async def _move(self, connection: Connection, found: Any) -> int:
        build, last = found["build_id"], found["last"]
        rows = await read_rows(connection, build)
        # Beside the loop: the rows of a large build take a while, and a worker that waits for them does not beat.
        content = await asyncio.to_thread(pack_rows, rows)
        digest = hashlib.sha256(content).hexdigest()
        # Under its digest, so that whoever does it again writes the same object.
        key = f"archives/{found['org_id']}/{build}/{last}-{digest[:16]}.rows"
        await self._storage.put(key, content)
        if not await asyncio.to_thread(_holds, key, await self._storage.get(key), rows):
            raise ArchiveDamaged(key, "it was read back and differs")
        self._crash.reach("rows_stored")
        done = await connection.fetchval(
            "select journal.pack($1, $2, $3, $4, $5, $6)", build, last, len(rows), key, digest, len(content)
        )
        _log.info("build packed", build=str(build), rows=len(rows), key=key, digest=digest, done=done)
        return len(rows)


def _holds(key: str, content: bytes, rows: Sequence[Row]) -> bool:
    """Whether the file is of exactly these rows. Raises ArchiveDamaged."""
    return list(unpack_rows(key, content)) == [(table, _array(some)) for table, some in _chunks(rows)]


def _chunks(rows: Sequence[Row]) -> Iterator[tuple[str, list[str]]]:
    some: list[str] = []
    length, of = 0, ""
    for table, row in rows:
        if some and (table != of or len(some) == CHUNK or length + len(row) > CHUNK_LENGTH):
            yield of, some
            some, length = [], 0
        of = table
        some.append(row)
        length += len(row)
    if some:
        yield of, some


def _array(rows: Sequence[str]) -> str:
    return f"[{','.join(rows)}]"
