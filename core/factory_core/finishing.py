"""Work that must not be left halfway."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

__all__ = ["to_the_end"]

Result = TypeVar("Result")


async def to_the_end(work: Awaitable[Result]) -> Result:
    """Wait for it also when cancelled, however often; then that is raised once it is done."""
    running = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait((running,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        running.exception()  # looked at, so that nobody asks for it
        raise cancelled
    return running.result()
