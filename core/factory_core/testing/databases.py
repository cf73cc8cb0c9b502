"""Databases for tests: made in milliseconds, each its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit, urlunsplit

import asyncpg

__all__ = ["DatabaseFactory", "run_apart"]

ResultT = TypeVar("ResultT")


class DatabaseFactory:
    """Makes databases on one server. Call it for an empty one, or with the URL of another for a copy of that."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._numbers = count(1)

    def __call__(self, template: str | None = None) -> str:
        """The URL of a new database. Nobody may be connected to the template meanwhile."""
        name = f"test_{next(self._numbers)}"
        source = "template1" if template is None else urlsplit(template).path.lstrip("/")
        self._execute(f'create database "{name}" template "{source}"')
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{name}"))

    def drop(self, url: str) -> None:
        """Remove a database, whoever is connected."""
        name = urlsplit(url).path.lstrip("/")
        self._execute(f'drop database if exists "{name}" with (force)')

    def _execute(self, statement: str) -> None:
        async def work() -> None:
            connection: Any = await cast(Any, asyncpg).connect(self._url)  # asyncpg has no types
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        run_apart(work)


def run_apart(work: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Run to the end in an event loop of its own, also when the caller is inside one."""

    async def main() -> ResultT:
        return await work()

    with ThreadPoolExecutor(1) as threads:
        return threads.submit(lambda: asyncio.run(main())).result()
