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
_log = structlog.get_logger(__name__)


class Upkeep:
    """Sweeps away workspaces, archives and packs finished builds and forgets what is too old, a bounded amount a turn.

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
        after = settings.archive_after_days
        self._archivist = Archivist(pool, storage, after_seconds=after * DAY) if after > 0 else None
        rows = settings.pack_after_days
        self._packer = Packer(pool, storage, after_seconds=rows * DAY, crash=crash) if rows > 0 else None

    async def turn(self) -> int:
        """Do some of it: how much. Safe beside other workers."""
        await self._sweep()
        # First what needs no storage, which may be away.
        moved: int = await self._pool.fetchval("select journal.forget($1)", self._memo)
        moved += await self._archivist.turn() if self._archivist is not None else 0
        return moved + (await self._packer.turn() if self._packer is not None else 0)

    async def run(self, every: float = 60.0) -> None:
        """For ever, every so many seconds; sooner again while there is a backlog."""
        while True:
            moved = 0
            try:
                moved = await self.turn()
            except Exception:  # noqa: BLE001 - a storage or database that is away is no reason to stop working
                _log.exception("upkeep failed")
            await asyncio.sleep(1.0 if moved >= 20 else every)
