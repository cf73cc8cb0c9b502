"""A connection to the database that outlives it: what was asked is asked again until there is an answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

import asyncpg
import structlog

from factory_core.builds.journal import Journal

__all__ = ["Connect", "Line", "connect_to", "is_passing"]

Connect = Callable[[], Awaitable[Any]]
ResultT = TypeVar("ResultT")

_log = structlog.get_logger(__name__)

# The server went, is going, is coming or is full, or it asks for another try: never the fault of what was asked.
_AGAIN = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection cut in the middle of a question
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
)


def is_passing(error: Exception) -> bool:
    """Whether the same question may be answered later: the server is away, busy or asks for another try."""
    # asyncpg.DataError: the arguments, not the connection
    return isinstance(error, _AGAIN) and not isinstance(error, ValueError)


def connect_to(url: str, *, statement_cache: int = 100) -> Connect:
    """How to open a connection; ``statement_cache=0`` behind PgBouncer in transaction mode."""

    async def connect() -> Any:
        library = cast(Any, asyncpg)  # asyncpg has no types
        return await library.connect(url, statement_cache_size=statement_cache, timeout=5)

    return connect


class Line:
    """One connection, one question at a time. What is asked must be safe to ask twice: an answer may be lost."""

    def __init__(self, connect: Connect, *, timeout: float = 10.0) -> None:
        self._connect = connect
        self._timeout = timeout
        self._connection: Any = None

    async def ask(self, question: Callable[[Journal], Awaitable[ResultT]]) -> ResultT:
        """The answer, however many connections it takes. Raises what the question itself got wrong."""
        return await self.use(lambda connection: question(Journal(connection)))

    async def use(self, question: Callable[[Any], Awaitable[ResultT]]) -> ResultT:
        """The same, for what is asked of the connection itself."""
        delay = 0.05
        while True:
            try:
                async with asyncio.timeout(self._timeout):
                    if self._connection is None:
                        self._connection = await self._connect()
                    return await question(self._connection)
            except _AGAIN as error:
                self._drop()
                if not is_passing(error):
                    raise
                _log.warning("database lost", error=repr(error), again_in=round(delay, 2))
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - spreads reconnects
            delay = min(delay * 2, 2.0)

    async def close(self) -> None:
        """Hang up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*_AGAIN):
                await connection.close(timeout=2)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
