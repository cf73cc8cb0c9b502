"""What a worker does once a minute beside its work, so that tables and folders stay small."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import structlog

from factory_core.builds.archive import Archivist
from factory_core.builds.crashpoints import CrashPoints
from factory_core.builds.packing import Packer
from factory_core.contracts.storage import Storage
from factory_core.settings import KernelSettings

if TYPE_CHECKING:
    from factory_core.kernel.database import Pool

__all__ = ["Upkeep"]

DAY = 86_400.0
MANY_FORGOTTEN = 1000
"""So much of a kind is forgotten at once."""
_log = structlog.get_logger(__name__)


class Upkeep:
    """Sweeps away workspaces, forgets what is too old, and archives and packs finished builds, a bounded amount a turn.

    Workspaces are swept here because builds end by cancel, by their deadline and on other hosts, too."""

    def __init__(
        self,
        pool: Pool,
        storage: Storage,
        settings: KernelSettings,
        sweep: Callable[[], Awaitable[int]],
        crash: CrashPoints | None = None,
    ) -> None:
        self._pool = pool
        self._sweep = sweep
        self._memo = settings.memo_days * DAY
        days = ((Archivist, settings.archive_after_days), (Packer, settings.pack_after_days))
        self._movers = [
            mover(pool, storage, after_seconds=after * DAY, crash=crash) for mover, after in days if after > 0
        ]

    async def turn(self) -> bool:
        """Do some of everything; whether there is more at once. Safe beside other workers. What fails is logged, and holds
        up nothing else: a folder, the storage or the database may be away."""
        await _tried("workspaces", self._sweep())
        forgotten = await _tried("forgetting", self._forget())
        for mover in self._movers:
            await _tried(mover.what, mover.turn())
        return forgotten >= MANY_FORGOTTEN or any(mover.more for mover in self._movers)

    async def _forget(self) -> int:
        return await self._pool.fetchval("select journal.forget($1)", self._memo)

    async def run(self, every: float = 60.0) -> None:
        """For ever, every so many seconds; sooner again while there is a backlog."""
        while True:
            more = await self.turn()
            await asyncio.sleep(1.0 if more else every)


async def _tried(what: str, work: Awaitable[int]) -> int:
    try:
        return await work
    except Exception:  # noqa: BLE001 - whatever it is, the rest is worth doing
        _log.exception("upkeep failed", what=what)
        return 0
