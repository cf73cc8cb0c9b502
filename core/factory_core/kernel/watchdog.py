"""Ends a worker whose event loop has stopped, so that others take its work and its supervisor starts a new one.

A worker that hangs beats no more, and loses its tasks to others; but where it is the only one, nobody would take them.
"""

from __future__ import annotations

import asyncio
import faulthandler

__all__ = ["LONGEST_SILENCE", "watch_loop"]

LONGEST_SILENCE = 60.0
"""Seconds. Nothing that a worker does keeps the loop for one of them; leases are lost after twenty."""


async def watch_loop(silence: float = LONGEST_SILENCE) -> None:
    """For ever; when the loop then stands still for so long, the process writes to standard error where each thread stands,
    and exits with 1. The timer is faulthandler's: it needs no thread that could be waiting, too."""
    try:
        while True:
            faulthandler.dump_traceback_later(silence, exit=True)
            await asyncio.sleep(silence / 4)
    finally:
        faulthandler.cancel_dump_traceback_later()
