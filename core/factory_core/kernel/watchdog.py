"""Ends a worker whose event loop has stopped, so that others take its work and its supervisor starts a new one.

A worker that hangs beats no more, and loses its tasks to others; but where it is the only one, nobody would take them.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import signal

__all__ = ["LONGEST_SILENCE", "watch_loop"]

LONGEST_SILENCE = 60.0
"""Seconds. The engine keeps the loop for a fraction of one; an agent that keeps it for twenty has lost its leases."""


async def watch_loop(silence: float = LONGEST_SILENCE) -> None:
    """For ever; when the loop then stands still for about so long, the process writes to standard error where each thread
    stands, and exits with 1. faulthandler's timer needs no thread that could be waiting, too. Where nobody reads what it
    writes, the kernel's alarm ends the process a little later."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    try:
        while True:
            signal.setitimer(signal.ITIMER_REAL, 1.25 * silence)
            with contextlib.suppress(RuntimeError, OSError, ValueError):  # there is no standard error
                faulthandler.dump_traceback_later(silence, exit=True)
            await asyncio.sleep(silence / 4)
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
