"""Events of finished builds, kept as files: packed, put into the storage, read back, and only then deleted as rows.

A file is a run of compressed chunks of events, then an index of them, then the index's length. A reader fetches the
index once and afterwards only the chunk that a number lies in.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from factory_core.builds.journal import Journal
from factory_core.builds.schemas import AttemptRow
from factory_core.contracts.events import Event, EventKind
from factory_core.contracts.storage import Storage
from factory_core.errors import FactoryError

if TYPE_CHECKING:
    from factory_core.kernel.database import Pool

__all__ = ["ArchiveDamaged", "Archivist", "History", "pack", "unpack"]

CHUNK = 500
"""Events in a chunk: one page of a reader."""
ONE_AT_A_TIME = 7_204_113
"""The advisory lock of whoever archives."""
_MAGIC = b"FSEVENTS1\n"
_TAIL = 8
_KEPT_INDEXES = 256
_log = structlog.get_logger(__name__)

_READ = """
    select build_id as build, seq, kind, task, fence, at, body from event
    where build_id = $1 and seq between $2 and $3 order by seq"""


class ArchiveDamaged(FactoryError):
    """A file of events that is not what was stored."""

    def __init__(self, key: str, reason: str) -> None:
        self.key = key
        self.reason = reason
        super().__init__(
            f"The archived events in {key!r} cannot be read ({reason}). Restore the storage from a backup."
        )


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


class Archivist:
    """Moves finished builds' events out of the tables. Dying anywhere loses nothing: the next turn starts over."""

    def __init__(self, pool: Pool, storage: Storage, *, after_seconds: float) -> None:
        self._pool = pool
        self._storage = storage
        self._after = after_seconds
        self._skipped: set[UUID] = set()
        """Builds with which it did not work; until the process starts anew, so that one does not hold up all."""

    async def turn(self, *, most: int = 20) -> int:
        """Archive up to ``most`` builds, one transaction each; how many. 0 when another worker is at it.

        Raises what the storage raises; a build whose events are damaged is logged and left as it is."""
        for count in range(most):
            if not await self._archive_one():
                return count
        return most

    async def _archive_one(self) -> bool:
        async with self._pool.acquire() as connection:
            opened: Any = connection  # our view of a connection knows no transactions
            async with opened.transaction():
                if not await connection.fetchval("select pg_try_advisory_xact_lock($1)", ONE_AT_A_TIME):
                    return False
                found = await connection.fetchrow(
                    "select * from journal.archivable($1, $2)", self._after, list(self._skipped)
                )
                return found is not None and await self._move(opened, found)

    async def _move(self, connection: Any, found: Any) -> bool:
        build, first, last = found["build_id"], found["first"], found["last"]
        events = [_event(row) for row in await connection.fetch(_READ, build, first, last)]
        if [event.seq for event in events] != list(range(first, last + 1)):
            _log.error("a build's events are not all there, so it is not archived", build=str(build))
            self._skipped.add(build)
            return True
        content = pack(events)
        digest = hashlib.sha256(content).hexdigest()
        # Under its digest, so that two who do this at the same time write the same object.
        key = f"archives/{found['org_id']}/{build}/{last}-{digest[:16]}.events"
        await self._storage.put(key, content)
        if list(unpack(await self._storage.get(key))) != events:
            raise ArchiveDamaged(key, "it was read back and differs")
        done = await connection.fetchval(
            "select journal.archive($1, $2, $3, $4, $5, $6)", build, first, last, key, digest, len(content)
        )
        _log.info("build archived", build=str(build), events=len(events), key=key, digest=digest, done=done)
        return True


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
