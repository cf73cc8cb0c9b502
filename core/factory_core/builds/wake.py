"""What makes a loop look at the journal before its next poll, and what it tells others. All of it may be lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol
from uuid import UUID

import structlog
from redis import asyncio as redis
from redis.exceptions import RedisError

__all__ = ["WAKE_LIST", "News", "Reminds", "Tell", "Wake", "listen"]

WAKE_LIST = "factory:wake"
"""A Redis list; an item is the 16 bytes of a build's id, or empty for "look everywhere"."""

Tell = Callable[[frozenset[UUID], bool], Awaitable[object]]
"""Builds have new events; whether there is work left over for other workers."""


class Reminds(Protocol):
    """Who says that there is something to see (``kernel/queue.py``). Losing what it says costs seconds, never a fact."""

    async def wake(self, build: UUID) -> object:
        """To workers: there is work in this build. To those who follow it: it has new events."""
        ...

    async def tell(self, builds: frozenset[UUID], more: bool) -> object:
        """To those who follow them: these builds have new events; ``more``: to workers, that there is work."""
        ...


_MANY = 50
_log = structlog.get_logger(__name__)


class Wake:
    """Rings when there is something to do."""

    def __init__(self) -> None:
        self._bell = asyncio.Event()
        self._offers: set[UUID] = set()
        self._look = False
        self.hungry = asyncio.Event()
        """Set while the loop has a free slot: only then are items taken from the list others listen to as well."""

    @property
    def called(self) -> bool:
        """Whether somebody said that there is work."""
        return self._look or bool(self._offers)

    def ring(self) -> None:
        """Something happened in this process."""
        self._bell.set()

    def kick(self, build: UUID | None = None) -> None:
        """There is work: in this build, or somewhere."""
        if build is None or len(self._offers) >= _MANY:
            self._look = True
        else:
            self._offers.add(build)
        self._bell.set()

    def take(self) -> tuple[tuple[UUID, ...], bool]:
        """The builds that were named, and whether to look at all; forgotten from now on."""
        offers, look = tuple(self._offers), self._look
        self._offers.clear()
        self._look = False
        return offers, look

    async def wait(self, seconds: float) -> None:
        """Until it rings, or the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._bell.wait()
        self._bell.clear()


async def listen(url: str, wake: Wake) -> None:
    """Kick for each item of the list, for ever; without Redis keep trying to reach it."""
    delay = 0.1
    while True:
        client: Any = redis.Redis.from_url(url, socket_connect_timeout=1)  # pyright: ignore[reportUnknownMemberType] - untyped in part
        try:
            while True:
                await wake.hungry.wait()
                item = await client.blpop([WAKE_LIST], timeout=5)
                delay = 0.1
                if item is not None:
                    wake.kick(UUID(bytes=item[1]) if len(item[1]) == 16 else None)
        except (RedisError, OSError) as error:
            _log.info("no wake-ups, polling", error=repr(error), again_in=delay)
        finally:
            with suppress(RedisError, OSError):
                await client.aclose()
        await asyncio.sleep(delay)
        delay = min(delay * 2, 2.0)


class News:
    """Collects what to tell while the last telling is under way, so that telling never holds up the loop."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._builds: set[UUID] = set()
        self._more = False
        self._bell = asyncio.Event()

    def add(self, builds: frozenset[UUID], *, more: bool) -> None:
        """To be told soon."""
        self._builds |= builds
        self._more = self._more or more
        if self._builds or self._more:
            self._bell.set()

    async def spread(self) -> None:
        """Tell, for ever."""
        while True:
            await self._bell.wait()
            await self.flush()

    async def flush(self) -> None:
        """Tell what was not told yet. Cancelled meanwhile, it will be told the next time."""
        self._bell.clear()
        builds, more = frozenset(self._builds), self._more
        if not builds and not more:
            return
        self._builds.clear()
        self._more = False
        try:
            await self._tell(builds, more)
        except asyncio.CancelledError:
            self.add(builds, more=more)
            raise
