"""What the operator's commands share: the home's database, over the rows of every organisation."""

# pyright: reportUnknownMemberType=false
# rich-click types the parameters of its decorators loosely.

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import rich_click as click

if TYPE_CHECKING:
    from factory_core.kernel.boot import Studio
    from factory_core.kernel.database import Database

__all__ = ["Json", "with_database"]

ResultT = TypeVar("ResultT")
Json = click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")


def with_database(action: Callable[[Studio, Database], Awaitable[ResultT]]) -> ResultT:
    """Attach to the home's servers, and act as the operator: over the rows of every organisation."""
    from factory_core.kernel.boot import start
    from factory_core.kernel.database import open_database
    from factory_core.kernel.embedded import attach
    from factory_core.kernel.logs import configure_logging

    studio = start()
    configure_logging(studio.settings, level="error")

    async def act() -> ResultT:
        async with open_database(studio.database_url(), studio.settings) as database:
            return await action(studio, database)

    with attach(studio):
        return asyncio.run(act())
