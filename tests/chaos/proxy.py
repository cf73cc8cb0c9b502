"""What lies between a process and PostgreSQL: a proxy that cuts after COMMIT was sent, goes silent, or is slow.

One ``Wire`` per process, so that each can be cut off alone. It reads just enough of the protocol to know which
statement a Sync ends; with statements outside a transaction that Sync is the commit.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

_STARTUP, _SSL = 196608, 80877103
_WRITES = ("journal.step", "journal.submit", "journal.cancel", "journal.tend", "journal.leave")


class Cut(Exception):
    """The connection ends here."""


class Wire:
    """A TCP port that leads to a Unix socket."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._server: asyncio.Server | None = None
        self._open = asyncio.Event()
        self._open.set()
        self._sessions: set[asyncio.Task[None]] = set()
        self.port = 0
        self.delay = 0.0
        """Seconds before what is asked arrives."""
        self.cuts = 0
        """How many of the next writing statements lose their answer."""
        self.swallow = True
        """Whether a cut waits until the server has committed; else both race."""
        self.answers_lost = 0
        """Committed, and nobody told."""

    async def listen(self, host: str = "127.0.0.1") -> None:
        self._server = await asyncio.start_server(self._serve, host, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for session in tuple(self._sessions):
            session.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)

    def silence(self) -> None:
        """Nothing passes in either direction, and nothing is refused: what a pulled cable looks like."""
        self._open.clear()

    def heal(self) -> None:
        """Let everything pass again, what was held up first."""
        self.delay, self.cuts = 0.0, 0
        self._open.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._sessions.add(task)
        upstream = None
        try:
            await self._open.wait()
            back, upstream = await asyncio.open_unix_connection(self._socket)
            session = _Session(self)
            async with asyncio.TaskGroup() as both:
                both.create_task(session.forth(reader, upstream))
                both.create_task(session.back(back, writer))
        except (OSError, asyncio.CancelledError, BaseExceptionGroup):
            pass  # one end went: so does the other
        finally:
            self._sessions.discard(task)
            for end in (writer, upstream):
                if end is not None:
                    with contextlib.suppress(OSError, RuntimeError):
                        end.transport.abort()

    async def passing(self) -> None:
        await self._open.wait()


class _Session:
    """One connection, watched from both sides."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._buffer = bytearray()
        self._started = False
        self._writes: dict[bytes, bool] = {}
        self._writing = False
        self._cutting = False
        self._tail = bytearray()

    async def forth(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            await self._wire.passing()
            if self._wire.delay:
                await asyncio.sleep(self._wire.delay)
            ends_write = self._look(data)
            if ends_write and self._wire.cuts > 0:
                self._wire.cuts -= 1
                self._cutting = True
            writer.write(data)
            await writer.drain()
            if self._cutting and not self._wire.swallow:
                raise Cut
        raise Cut

    async def back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            await self._wire.passing()
            if self._cutting:
                self._tail += data
                if any(kind == b"Z" for kind, _ in _frames(self._tail)):
                    self._wire.answers_lost += 1
                    raise Cut
                continue
            writer.write(data)
            await writer.drain()
        raise Cut

    def _look(self, data: bytes) -> bool:
        """Whether a statement that writes is complete with this."""
        self._buffer += data
        if not self._started and not self._begin():
            return False
        ended = False
        for kind, body in _frames(self._buffer):
            ended = self._ends_write(kind, body) or ended
        return ended

    def _begin(self) -> bool:
        while len(self._buffer) >= 8:
            length, code = int.from_bytes(self._buffer[:4]), int.from_bytes(self._buffer[4:8])
            if len(self._buffer) < length:
                return False
            del self._buffer[:length]
            if code == _STARTUP:
                self._started = True
                return True
        return False

    def _ends_write(self, kind: bytes, body: bytes) -> bool:
        if kind == b"P":
            name, query = body.split(b"\0", 2)[:2]
            self._writes[name] = any(write.encode() in query for write in _WRITES)
        elif kind == b"B":
            self._writing = self._writes.get(body.split(b"\0", 2)[1], False)
        elif kind == b"Q":
            return body[:6].upper() == b"COMMIT"
        elif kind == b"S":
            writing, self._writing = self._writing, False
            return writing
        return False


def _frames(buffer: bytearray) -> Iterator[tuple[bytes, bytes]]:
    """Whole messages, taken off the front."""
    while len(buffer) >= 5 and len(buffer) > (length := int.from_bytes(buffer[1:5])):
        kind, body = bytes(buffer[:1]), bytes(buffer[5 : length + 1])
        del buffer[: length + 1]
        yield kind, body
