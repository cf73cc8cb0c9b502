"""What a worker does once a minute beside its work, so that tables stay small."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from factory_core.builds.archive import Archivist
from factory_core.contracts.storage import Storage
from factory_core.settings import KernelSettings

if TYPE_CHECKING:
    from factory_core.kernel.database import Pool

__all__ = ["Upkeep"]

DAY = 86_400.0
_EVERY = 60.0
_log = structlog.get_logger(__name__)


class Upkeep:
    """Archives finished builds and forgets what is too old, a bounded amount a turn."""

    def __init__(self, pool: Pool, storage: Storage, settings: KernelSettings) -> None:
        self._pool = pool
        self._memo = settings.memo_days * DAY
        after = settings.archive_after_days
        self._archivist = Archivist(pool, storage, after_seconds=after * DAY) if after > 0 else None

    async def turn(self) -> int:
        """Do some of it: how much. Safe beside other workers."""
        moved = await self._archivist.turn() if self._archivist is not None else 0
        return moved + await self._pool.fetchval("select journal.forget($1)", self._memo)

    async def run(self) -> None:
        """For ever; sooner again while there is a backlog."""
        while True:
            moved = 0
            try:
                moved = await self.turn()
            except Exception:  # noqa: BLE001 - a storage that is away is no reason to stop working
                _log.exception("upkeep failed")
            await asyncio.sleep(1.0 if moved >= 20 else _EVERY)
