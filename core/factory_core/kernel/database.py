"""The process's one way to PostgreSQL: a pool that Piccolo and raw SQL share, and transactions bound to an organisation."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol
from uuid import UUID

import asyncpg
from piccolo.conf.apps import AppRegistry
from piccolo.engine.postgres import PostgresEngine

from factory_core.errors import EnvironmentUnfit
from factory_core.kernel.enqueue import OPERATOR
from factory_core.settings import KernelSettings, point_piccolo_at

LOCAL_ORGANISATION = OPERATOR
"""The one organisation of a studio without accounts."""


class DatabaseUnreachable(EnvironmentUnfit):
    """PostgreSQL does not answer."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"PostgreSQL does not answer ({reason}). Start it, or correct FACTORY_DATABASE_URL.")


class Connection(Protocol):
    """What we use of an asyncpg connection; the library itself is not typed."""

    async def execute(self, query: str, *arguments: object) -> str: ...

    async def fetch(self, query: str, *arguments: object) -> Sequence[Any]: ...

    async def fetchrow(self, query: str, *arguments: object) -> Any: ...

    async def fetchval(self, query: str, *arguments: object) -> Any: ...


class Pool(Connection, Protocol):
    """What we use of an asyncpg pool."""

    def acquire(self) -> AbstractAsyncContextManager[Connection]: ...

    async def close(self) -> None: ...


class Engine(PostgresEngine):
    """Piccolo's engine without its habit of connecting when it is built."""

    def __init__(self) -> None:
        super().__init__(config={})

    async def check_version(self) -> None:
        """Nothing yet: there may be no server before ``open_database``."""

    async def prep_database(self) -> None:
        """Nothing: migrations create what they need."""


# Piccolo looks the engine up by this name in the module PICCOLO_CONF points at, and its tables keep what they found: so
# there is one engine per process for good, and opening a database gives it a pool.
DB = Engine()
APP_REGISTRY = AppRegistry()
"""Piccolo looks for this beside the engine; the migration runner fills it."""


class Database:
    """An open pool."""

    def __init__(self, url: str, pool: Pool) -> None:
        self.url = url
        self.pool = pool

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection, None]:
        """A transaction as the role we signed in with; Piccolo's queries inside take part."""
        transaction: Any
        async with DB.transaction() as transaction:
            yield transaction.connection

    @asynccontextmanager
    async def tenant_transaction(self, organisation: UUID) -> AsyncGenerator[Connection, None]:
        """A transaction that sees the rows of one organisation only; Piccolo's queries inside take part.

        Everything is local to the transaction, so a pooler may hand the connection to anyone afterwards."""
        transaction: Any
        async with DB.transaction(allow_nested=False) as transaction:
            connection: Connection = transaction.connection
            await connection.execute("SET LOCAL ROLE factory_tenant")
            await connection.execute("SELECT set_config('factory.org', $1, true)", str(organisation))
            yield connection

    async def ping(self) -> None:
        """Raises when the database does not answer."""
        await self.pool.fetchval("SELECT 1")


@asynccontextmanager
async def open_database(url: str, settings: KernelSettings) -> AsyncGenerator[Database, None]:
    """Connect, lend the pool to Piccolo, and close it in the end. Raises DatabaseUnreachable."""
    point_piccolo_at(__name__)
    options: dict[str, Any] = {"dsn": url, "statement_cache_size": settings.database_statement_cache}
    library: Any = asyncpg
    try:
        pool: Any = await library.create_pool(**options, min_size=1, max_size=settings.database_pool)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
        raise DatabaseUnreachable(str(error) or type(error).__name__) from error
    before = DB.config, DB.pool
    DB.config, DB.pool = options, pool
    try:
        yield Database(url, pool)
    finally:
        DB.config, DB.pool = before
        await pool.close()
