"""Redis, as far as we need it: reminders that there is work. Losing it loses no fact."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import structlog
from arq.connections import ArqRedis
from redis import asyncio as redis
from redis.exceptions import RedisError

from factory_core.builds.wake import WAKE_LIST

if TYPE_CHECKING:
    from factory_core.kernel.boot import Studio

__all__ = ["EVENTS_CHANNEL", "RING", "WAKE_QUEUE", "Queue", "arq_client", "open_queue", "queue_name"]

WAKE_QUEUE = "factory:builds"
"""arq's queue of wake-ups; its jobs carry a build's id in hex, or ''."""
RING = "ring"
"""arq's job in the queues of ordinary jobs; it carries a job's id in hex."""
EVENTS_CHANNEL = "factory:events"
"""Pub/sub: the 16 bytes of a build that has new events."""
_KEPT_WAKES = 1000
_SILENCE = 0.5

_log = structlog.get_logger(__name__)


def queue_name(queue: str) -> str:
    """The Redis key of the reminders of a queue of ordinary jobs."""
    return f"factory:{queue}"


def arq_client(url: str) -> ArqRedis:
    """arq's client without pickle. Connects when it is first used."""
    pool = redis.ConnectionPool.from_url(url, socket_connect_timeout=1)  # pyright: ignore[reportUnknownMemberType] - untyped in part
    return ArqRedis(pool, job_serializer=msgspec.msgpack.encode, job_deserializer=msgspec.msgpack.decode)


class Queue:
    """Reminds workers. The row is the truth, so nothing here ever fails its caller: it answers whether it got through."""

    def __init__(self, url: str | None) -> None:
        self._client: Any = None if url is None else arq_client(url)
        self._silent_until = 0.0

    async def wake(self, build: UUID | None = None) -> bool:
        """Say that there is work, in this build or anywhere."""
        return await self._try(lambda client: self._wake(client, build))

    async def ring(self, job: UUID, *, queue: str) -> bool:
        """Say that a job is kept and due."""
        return await self._try(
            lambda client: client.enqueue_job(
                RING, job.hex, _queue_name=queue_name(queue), _job_id=f"{RING}:{job.hex}"
            )
        )

    async def tell(self, builds: frozenset[UUID], more: bool) -> bool:
        """Say that builds have new events, and whether other workers should look for work."""

        async def publish(client: Any) -> None:
            async with client.pipeline(transaction=False) as pipe:
                for build in builds:
                    pipe.publish(EVENTS_CHANNEL, build.bytes)
                if more:
                    pipe.rpush(WAKE_LIST, b"")
                    pipe.ltrim(WAKE_LIST, -_KEPT_WAKES, -1)
                await pipe.execute()

        return await self._try(publish)

    async def close(self) -> None:
        """Hang up."""
        if self._client is not None:
            await self._try(lambda client: client.aclose())

    async def _wake(self, client: Any, build: UUID | None) -> None:
        async with client.pipeline(transaction=False) as pipe:
            pipe.rpush(WAKE_LIST, build.bytes if build else b"")
            pipe.ltrim(WAKE_LIST, -_KEPT_WAKES, -1)
            if build is not None:  # whoever wakes workers wrote an event
                pipe.publish(EVENTS_CHANNEL, build.bytes)
            await pipe.execute()
        await client.enqueue_job("wake", build.hex if build else "", _queue_name=WAKE_QUEUE)

    async def _try(self, work: Callable[[Any], Awaitable[Any]]) -> bool:
        if self._client is None or time.monotonic() < self._silent_until:
            return False
        try:
            async with asyncio.timeout(2):
                await work(self._client)
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            # Workers poll meanwhile; without this pause each of their steps would knock at a closed door.
            self._silent_until = time.monotonic() + _SILENCE
            _log.info("queue unreachable", error=repr(error))
            return False
        return True


@asynccontextmanager
async def open_queue(studio: Studio) -> AsyncGenerator[Queue]:
    """The reminders of this process; jobs asked for meanwhile use them, too."""
    queue = Queue(studio.queue_url())
    studio.queue.reminder = queue
    try:
        yield queue
    finally:
        studio.queue.reminder = None
        await queue.close()
