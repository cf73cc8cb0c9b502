"""Rows of builds that ended long ago, kept as files.

A file is a run of compressed chunks of rows, each of one table, then an index of them, then the index's length. Rows are
what PostgreSQL tells of them, so that it can take them back as they were.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from factory_core.builds.archive import CHUNK
from factory_core.builds.errors import ArchiveDamaged, RowsUnfit
from factory_core.builds.moving import File, Found, Mover

if TYPE_CHECKING:
    from factory_core.kernel.database import Connection

__all__ = ["TABLES", "Packer", "Row", "pack_rows", "put_back", "read_rows", "unpack_rows"]

TABLES = ("task", "edge", "board", "mail", "event")
"""In the order in which rows can come back: the others refer to tasks."""
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


class Packer(Mover):
    """Moves all other rows of old builds out of the tables."""

    what, suffix, points = "packed", "rows", ("rows_stored", "rows_moved")
    query = "select build_id, org_id, 1 as first, last from journal.packable($1, $2)"

    async def read(self, connection: Connection, found: Found) -> Sequence[Row]:
        """All of them, with times in UTC."""
        await connection.execute("set local timezone = 'UTC'")
        return await read_rows(connection, found.build)

    def pack(self, found: Found, rows: Sequence[Row]) -> bytes:
        """All of them, by table."""
        content = pack_rows(rows)
        there = list(unpack_rows(str(found.build), content))
        if there != [(table, _array(some)) for table, some in _chunks(rows)]:
            raise RowsUnfit(found.build, "they are read back in another way")
        return content

    async def note(self, connection: Connection, found: Found, file: File) -> bool:
        """False as well if another has packed it. Raises asyncpg.RaiseError if there are more rows, or fewer."""
        return await connection.fetchval(
            "select journal.pack($1, $2, $3, $4, $5, $6)",
            found.build,
            found.last,
            file.rows,
            file.key,
            file.digest,
            len(file.content),
        )


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
