"""Ordinary background work: kept in PostgreSQL until it is done, run by the workers beside the builds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol
from uuid import UUID

from msgspec import Struct

__all__ = ["Job", "JobQueue"]


class Job(Struct, frozen=True, kw_only=True):
    """``run(**payload)`` in a worker. It may run twice: make it so that this does not matter.

    ``queue`` is ``notifications`` or ``analytics``; builds have their own path. An attempt that takes longer than
    ``timeout_seconds`` or raises is tried again later, ``attempts`` times in all; then the job is a dead letter, which
    a person retries or discards (``studio queue``)."""

    name: str
    run: Callable[..., Awaitable[Any]]
    queue: str = "notifications"
    timeout_seconds: float = 60.0
    attempts: int = 5


class JobQueue(Protocol):
    """Where jobs are asked for. ``Boot.queue`` is one; routes and jobs get it from the factories that make them."""

    async def enqueue(
        self,
        job: str,
        payload: Mapping[str, Any] | None = None,
        *,
        org: UUID | None = None,
        delay: float = 0.0,
        key: str = "",
    ) -> UUID:
        """Have the job of this name run ``delay`` seconds from now; its id.

        Inside a transaction of Piccolo's it is part of it: no commit, no job. Once this returns (or commits), the job is
        kept until it has run, whatever happens to Redis or to workers. ``payload`` is JSON and is shown to operators:
        name secrets, never hold them. ``org`` owns it; by default the organisation of the transaction, else the
        operator's. A second job with the ``key`` of one that is still kept (an hour after its end, or as a dead
        letter) is not made.

        Raises JobRefused when no plugin offers the job or the payload is unfit, EnvironmentUnfit without a database."""
        ...
