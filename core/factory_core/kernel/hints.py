"""One listener per web process for "build b has new events", shared by all streams. Hints may be lost; numbers are not."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

import structlog
from redis import asyncio as redis
from redis.exceptions import RedisError

from factory_core.kernel.queue import EVENTS_CHANNEL

__all__ = ["Hints"]

_log = structlog.get_logger(__name__)


class Hints:
    """Rings the bells of those who watch a build. ``patience``: how long a watcher should wait before it looks anyway."""

    def __init__(self, url: str | None, *, calm: float = 5.0, polling: float = 1.0) -> None:
        self._url = url
        self._calm = calm
        self._polling = polling
        self._bells: dict[UUID, set[asyncio.Event]] = {}
        self.listening = asyncio.Event()
        """Set while hints can arrive."""

    @property
    def patience(self) -> float:
        """In seconds: longer while hints arrive, since looking is then only for what they missed."""
        return self._calm if self.listening.is_set() else self._polling

    @contextmanager
    def watch(self, build: UUID) -> Generator[asyncio.Event]:
        """A bell that rings at each hint about the build. Clear it before looking, wait for it after."""
        bell = asyncio.Event()
        self._bells.setdefault(build, set()).add(bell)
        try:
            yield bell
        finally:
            self._bells[build].discard(bell)
            if not self._bells[build]:
                del self._bells[build]

    async def run(self) -> None:
        """Listen for ever; without Redis keep trying to reach it."""
        delay = 0.1
        while self._url is not None:
            client: Any = redis.Redis.from_url(  # pyright: ignore[reportUnknownMemberType] - untyped in part
                self._url, socket_connect_timeout=1
            )
            try:
                async with client.pubsub() as channel:
                    await channel.subscribe(EVENTS_CHANNEL)
                    async for message in channel.listen():
                        delay = 0.1
                        self._hear(message)
            except (RedisError, OSError) as error:
                _log.info("no hints, polling", error=repr(error), again_in=delay)
            finally:
                self.listening.clear()
                self._ring_all()  # those who wait calmly are to poll from now on
                with suppress(RedisError, OSError):
                    await client.aclose()
            await asyncio.sleep(delay)
            delay = min(delay * 2, 2.0)

    def _hear(self, message: dict[str, Any]) -> None:
        if message["type"] == "subscribe":
            self.listening.set()
            self._ring_all()  # what was told before is missed
        elif message["type"] == "message" and len(message["data"]) == 16:
            for bell in self._bells.get(UUID(bytes=message["data"]), ()):
                bell.set()

    def _ring_all(self) -> None:
        for bells in self._bells.values():
            for bell in bells:
                bell.set()
