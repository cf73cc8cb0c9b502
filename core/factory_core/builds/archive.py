"""Events of finished builds, kept as files.

A file is a run of compressed chunks of events, then an index of them, then the index's length. A reader fetches the
index once and afterwards only the chunk that a number lies in.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from factory_core.builds.errors import ArchiveDamaged, RowsUnfit
from factory_core.builds.journal import Journal
from factory_core.builds.moving import File, Found, Mover
from factory_core.builds.schemas import AttemptRow
from factory_core.contracts.events import Event, EventKind
from factory_core.contracts.storage import Storage

if TYPE_CHECKING:
    from factory_core.kernel.database import Connection

__all__ = ["Archivist", "History", "pack", "unpack"]

CHUNK = 500
"""Events in a chunk: one page of a reader."""
_MAGIC = b"FSEVENTS1\n"
_TAIL = 8
_KEPT_INDEXES = 256

_READ = """
    select build_id as build, seq, kind, task, fence, at, body from event
    where build_id = $1 and seq between $2 and $3 order by seq"""


class _Chunk(Struct, frozen=True, array_like=True):
    first: int
    last: int
    offset: int
    length: int


class _Segment(Struct, frozen=True):
    first: int
    last: int
    key: str
    size: int


def pack(events: Sequence[Event]) -> bytes:
    """The file of these events, which follow on one another; the same bytes for the same events."""
    parts: list[bytes] = [_MAGIC]
    index: list[_Chunk] = []
    offset = len(_MAGIC)
    for start in range(0, len(events), CHUNK):
        some = events[start : start + CHUNK]
        data = zlib.compress(msgspec.json.encode(some, order="sorted"), 6)
        index.append(_Chunk(some[0].seq, some[-1].seq, offset, len(data)))
        parts.append(data)
        offset += len(data)
    table = zlib.compress(msgspec.json.encode(index), 6)
    return b"".join([*parts, table, len(table).to_bytes(_TAIL, "big")])


def unpack(content: bytes) -> tuple[Event, ...]:
    """All events of a file. Raises zlib.error, ValueError."""
    end = len(content) - _TAIL
    table = content[end - int.from_bytes(content[end:], "big") : end]
    index = msgspec.json.decode(zlib.decompress(table), type=list[_Chunk])
    return tuple(event for c in index for event in _events_of(content[c.offset : c.offset + c.length]))


def _events_of(data: bytes) -> list[Event]:
    return msgspec.json.decode(zlib.decompress(data), type=list[Event])


class Archivist(Mover):
    """Moves finished builds' events out of the tables."""

    what, suffix, points = "archived", "events", ("events_stored", "events_moved")
    query = "select build_id, org_id, first, last from journal.archivable($1, $2)"

    async def read(self, connection: Connection, found: Found) -> Sequence[Any]:
        """Those that are in no file yet."""
        return await connection.fetch(_READ, found.build, found.first, found.last)

    def pack(self, found: Found, rows: Sequence[Any]) -> bytes:
        """All of them, in their order."""
        events = tuple(_event(row) for row in rows)
        if [event.seq for event in events] != list(range(found.first, found.last + 1)):
            raise RowsUnfit(found.build, f"events {found.first} to {found.last} are not all there")
        content = pack(events)
        if unpack(content) != events:
            raise RowsUnfit(found.build, "its events are read back in another way")
        return content

    async def note(self, connection: Connection, found: Found, file: File) -> bool:
        """False as well if another has archived it."""
        return await connection.fetchval(
            "select journal.archive($1, $2, $3, $4, $5, $6)",
            found.build,
            found.first,
            found.last,
            file.key,
            file.digest,
            len(file.content),
        )


class History:
    """Events by number, wherever they are: rows, files, or moving from one to the other at this moment.

    Numbers have no gaps. So rows count only as far as they follow on one another, and what is missing then is in a file:
    deleting rows and noting their file is one commit."""

    def __init__(self, journal: Journal, storage: Storage) -> None:
        self._journal = journal
        self._storage = storage
        self._indexes: OrderedDict[str, list[_Chunk]] = OrderedDict()

    async def events(self, org: UUID, build: UUID, *, after: int = 0, limit: int = 1000) -> tuple[Event, ...]:
        """Events ``after + 1`` and on, ``limit`` at most. Raises ArchiveDamaged, ObjectMissing."""
        found: list[Event] = []
        while len(found) < limit:
            wanted = after + len(found)
            rows = await self._journal.events(org, build, after=wanted, limit=limit - len(found))
            joined = [event for n, event in enumerate(rows, wanted + 1) if event.seq == n]
            found += joined
            if joined and len(joined) == len(rows):
                break
            more = await self._from_file(org, build, after + len(found), limit - len(found))
            found += more
            if not more:
                break
        return tuple(found)

    async def attempts(self, org: UUID, build: UUID) -> tuple[AttemptRow, ...]:
        """Every try of every task, in the order they started. Raises ArchiveDamaged, ObjectMissing."""
        if await self._journal.archive(org, build, 0) is None:
            found = await self._journal.attempts(org, build)
            if await self._journal.archive(org, build, 0) is None:
                return found  # and not archived while they were read
        tries: dict[tuple[str | None, int | None], AttemptRow] = {}
        after = 0
        while page := await self.events(org, build, after=after):
            for event in page:
                _count(tries, event)
            after = page[-1].seq
        return tuple(sorted(tries.values(), key=lambda row: (row.started_at, row.task)))

    async def _from_file(self, org: UUID, build: UUID, after: int, limit: int) -> list[Event]:
        """Events of the file that has number ``after + 1``; none if there is no such file."""
        row = await self._journal.archive(org, build, after) if limit > 0 else None
        if row is None or row["first"] > after + 1:
            return []
        segment = _Segment(row["first"], row["last"], row["key"], row["size"])
        found: list[Event] = []
        for chunk in await self._index(segment):
            if chunk.last > after and len(found) < limit:
                data = await self._read(segment.key, chunk.offset, chunk.offset + chunk.length)
                found += [event for event in self._decode(segment.key, data) if event.seq > after]
        return found[:limit]

    async def _index(self, segment: _Segment) -> list[_Chunk]:
        known = self._indexes.get(segment.key)
        if known is None:
            end = segment.size - _TAIL
            length = int.from_bytes(await self._read(segment.key, end, segment.size), "big")
            try:
                table = zlib.decompress(await self._read(segment.key, max(0, end - length), end))
                known = msgspec.json.decode(table, type=list[_Chunk])
            except (zlib.error, msgspec.DecodeError) as error:
                raise ArchiveDamaged(segment.key, f"its index: {error}") from error
            self._indexes[segment.key] = known
            while len(self._indexes) > _KEPT_INDEXES:
                self._indexes.popitem(last=False)
        return known

    def _decode(self, key: str, data: bytes) -> list[Event]:
        try:
            return _events_of(data)
        except (zlib.error, msgspec.DecodeError) as error:
            raise ArchiveDamaged(key, str(error)) from error

    async def _read(self, key: str, start: int, end: int) -> bytes:
        parts: AsyncIterator[bytes] = self._storage.stream(key, start=start, end=end)
        return b"".join([part async for part in parts])


def _event(row: Any) -> Event:
    fields = dict(row)
    return msgspec.convert({**fields, "body": msgspec.json.decode(fields["body"])}, Event, strict=False)


def _count(tries: dict[tuple[str | None, int | None], AttemptRow], event: Event) -> None:
    """What the view ``attempt`` says of rows: a try begins with its start and ends with the next event of its fence."""
    key = (event.task, event.fence)
    if event.kind == EventKind.TASK_STARTED:
        tries[key] = AttemptRow(
            task=event.task or "",
            fence=event.fence or 0,
            worker=UUID(str(event.body["worker"])),
            started_at=event.at,
            ended_at=None,
            outcome=None,
        )
    elif key in tries and tries[key].outcome is None:
        tries[key] = replace(tries[key], ended_at=event.at, outcome=event.kind)
