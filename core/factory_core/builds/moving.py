"""Taking what ended builds left out of the tables: packed, put into the storage, read back, and only then deleted."""

from __future__ import annotations

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import asyncpg
import structlog

from factory_core.builds.crashpoints import CrashPoints, UpkeepPoint
from factory_core.builds.errors import ArchiveDamaged, RowsUnfit
from factory_core.contracts.storage import Storage

if TYPE_CHECKING:
    from factory_core.kernel.database import Connection, Pool

__all__ = ["MOST_BUILDS", "MOST_ROWS", "ONE_AT_A_TIME", "File", "Found", "Mover"]

ONE_AT_A_TIME = 7_204_113
"""The advisory lock of whoever moves something. Two would do the same work, but no harm."""
MOST_BUILDS = 20
MOST_ROWS = 20_000
"""After so many builds or rows a turn is over: the rest is the next one's."""
PATIENCE = 600.0
"""In seconds, for the storage to take a file and give it back."""
_log = structlog.get_logger(__name__)


class Found(NamedTuple):
    """A build to move something of: its events ``first`` to ``last`` are still to be moved."""

    build: UUID
    org: UUID
    first: int
    last: int


class File(NamedTuple):
    """What is stored of a build."""

    key: str
    content: bytes
    digest: str
    rows: int
    """How many are in it."""


class Mover(ABC):
    """Moves one kind of rows, a build at a time. Dying anywhere loses nothing: the next turn starts over.

    While rows are packed and stored nothing is held but the advisory lock: no table, no row, no snapshot. So the build may
    move on meanwhile; the journal sees that when the file is to be noted, and deletes nothing then."""

    what: str
    """What a build is afterwards, in the log."""
    suffix: str
    query: str
    """Finds the next build: $1 is for how many seconds it has ended, $2 are those to leave out."""
    points: tuple[UpkeepPoint, UpkeepPoint]
    """Where a test may kill the process: the file is stored; the rows are gone."""

    def __init__(
        self,
        pool: Pool,
        storage: Storage,
        *,
        after_seconds: float,
        crash: CrashPoints | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.more = False
        """Whether the last turn ended at its bounds."""
        self._pool = pool
        self._storage = storage
        self._after = after_seconds
        self._patience = patience
        self._storing: asyncio.Future[bytes] | None = None
        self._crash = crash or CrashPoints()
        self._build: UUID | None = None
        self._unfit: set[UUID] = set()
        """Builds with which something is wrong; until the process starts anew, so that one does not hold up all."""
        self._later: set[UUID] = set()
        """Builds with which the storage or the database failed: they are tried again when there are no others."""

    @abstractmethod
    async def read(self, connection: Connection, found: Found) -> Sequence[Any]:
        """The rows, as they are now."""

    @abstractmethod
    def pack(self, found: Found, rows: Sequence[Any]) -> bytes:
        """A file that gives these rows back, which was tried; in a thread. Raises RowsUnfit."""

    @abstractmethod
    async def note(self, connection: Connection, found: Found, file: File) -> bool:
        """Delete the rows and note their file; false if the build has moved on meanwhile."""

    async def turn(self, *, most: int = MOST_BUILDS, rows: int = MOST_ROWS) -> int:
        """Move rows, one transaction a build, until there were ``most`` builds or ``rows`` rows; how many builds. 0 when
        another worker is at it. Raises what the storage raises; a build with which something is wrong is logged and left."""
        count = moved = 0
        self.more = False
        while count < most and moved < rows:
            some = await self._try_next()
            if some is not None:
                count, moved = count + 1, moved + some
            elif self._later:
                self._later.clear()
            else:
                return count
        self.more = True
        return count

    async def _try_next(self) -> int | None:
        self._build = None
        try:
            return await self._move_next()
        except (ArchiveDamaged, RowsUnfit, asyncpg.RaiseError):  # the transaction took everything back
            _log.exception(f"a build cannot be {self.what}, so it is left as it is", build=str(self._build))
            self._unfit |= {self._build} if self._build else set()
            return 0
        except Exception:  # whatever it is: noted and raised again
            self._later |= {self._build} if self._build else set()
            raise

    async def _move_next(self) -> int | None:
        """How many rows it had; None if there is no build, or another worker is at it."""
        async with self._pool.acquire() as connection:
            opened: Any = connection  # our view of a connection knows no transactions
            async with opened.transaction():
                if not await connection.fetchval("select pg_try_advisory_xact_lock($1)", ONE_AT_A_TIME):
                    return None
                seen = await self._look(opened)
                if seen is None:
                    return None
                await self._move(connection, *seen)
        self._crash.reach(self.points[1])
        return len(seen[1])

    async def _look(self, connection: Any) -> tuple[Found, Sequence[Any]] | None:
        """The next build and its rows; in a savepoint that is taken back, and with it the locks on tables."""
        inside = connection.transaction()
        await inside.start()
        try:
            row = await connection.fetchrow(self.query, self._after, [*self._unfit, *self._later])
            if row is None:
                return None
            found = Found(*row)
            self._build = found.build
            return found, await self.read(connection, found)
        finally:
            await inside.rollback()

    async def _move(self, connection: Connection, found: Found, rows: Sequence[Any]) -> None:
        # Beside the loop: the rows of a large build take a while, and a worker that waits for them does not beat.
        async with asyncio.timeout(self._patience):
            file = await asyncio.to_thread(self._file, found, rows)
        if await self._store(file) != file.content:
            raise ArchiveDamaged(file.key, "it was read back and differs")
        self._crash.reach(self.points[0])
        done = await self.note(connection, found, file)
        _log.info(
            f"build {self.what}",
            build=str(found.build),
            rows=file.rows,
            key=file.key,
            digest=file.digest,
            done=done,
        )

    async def _store(self, file: File) -> bytes:
        """What is read back. Raises TimeoutError: a storage that hangs, as a mounted folder may, must not hold up upkeep. It
        is asked for nothing more until it has answered, or it would take one thread after the other."""
        if self._storing is not None and not self._storing.done():
            raise TimeoutError("the storage has not answered yet")
        self._storing = asyncio.ensure_future(self._put_and_get(file))
        await asyncio.wait((self._storing,), timeout=self._patience)
        if not self._storing.done():
            raise TimeoutError(f"the storage has not answered for {self._patience:g} s")
        return self._storing.result()

    async def _put_and_get(self, file: File) -> bytes:
        await self._storage.put(file.key, file.content)
        return await self._storage.get(file.key)

    def _file(self, found: Found, rows: Sequence[Any]) -> File:
        content = self.pack(found, rows)
        digest = hashlib.sha256(content).hexdigest()
        # Under its digest, so that whoever does it again writes the same object.
        key = f"archives/{found.org}/{found.build}/{found.last}-{digest[:16]}.{self.suffix}"
        return File(key, content, digest, len(rows))
