"""Fixtures: a private home, a real PostgreSQL and a real Redis-protocol server.

One pair of servers per test process (so per worker of pytest-xdist), started when first asked for and stopped at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Struct

if TYPE_CHECKING:  # every pytest run of this environment loads this module, so it imports little
    from factory_core.testing.databases import DatabaseFactory

__all__ = ["Servers"]

pytest.register_assert_rewrite(
    *(f"factory_core.testing.{suite}" for suite in ("agent", "servers", "storage"))
)

_queue_numbers = count()


class Servers(Struct, frozen=True, kw_only=True):
    """The servers of this test process."""

    home: Path
    database_url: str
    """The server's first database. Tests that write take ``database``."""
    queue_url: str


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A FACTORY_HOME of the test's own, empty."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """A PostgreSQL and a Redis-protocol server, as the installed plugins offer them."""
    from factory_core.testing.boot import installed_servers
    from factory_core.testing.leftovers import owned_folder

    sources = installed_servers(Path())

    def stop(folder: Path) -> None:
        for source in sources:
            source.stop(folder)

    with owned_folder(stop) as folder:
        for source in sources:
            source.start(folder)
        database, queue = sources
        yield Servers(home=folder, database_url=database.url(folder), queue_url=queue.url(folder))


@pytest.fixture(scope="session")
def postgres_url(servers: Servers) -> str:
    """The server's first database: for its settings and version; tests that write take ``database``."""
    return servers.database_url


@pytest.fixture(scope="session")
def make_database(servers: Servers) -> DatabaseFactory:
    """Makes databases: ``make_database()`` an empty one, ``make_database(url)`` a copy of another."""
    from factory_core.testing.databases import DatabaseFactory

    return DatabaseFactory(servers.database_url)


@pytest.fixture
def database(make_database: DatabaseFactory) -> Iterator[str]:
    """The URL of an empty database of the test's own."""
    url = make_database()
    yield url
    make_database.drop(url)


@pytest.fixture(scope="module")
def module_database(make_database: DatabaseFactory) -> Iterator[str]:
    """The URL of an empty database that the tests of a module share."""
    url = make_database()
    yield url
    make_database.drop(url)


@pytest.fixture
def valkey_url(servers: Servers) -> str:
    """The URL of an empty queue: one of the server's numbered databases, emptied."""
    import redis

    number = next(_queue_numbers) % 16
    url = f"{servers.queue_url}{'&' if '?' in servers.queue_url else '?'}db={number}"
    library: Any = redis  # its signatures are untyped in part
    client = library.Redis.from_url(url)
    with client:
        client.flushdb()
    return url
