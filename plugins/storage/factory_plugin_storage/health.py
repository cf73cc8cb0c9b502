"""Whether there is room for what builds leave."""

from __future__ import annotations

import shutil
from pathlib import Path

from factory_core.contracts.health import HealthReport

__all__ = ["DiskSpace"]


class DiskSpace:
    """Compares the free space of the storage's disk with the least that is wanted."""

    name = "storage"

    def __init__(self, folder: Path, minimum_mib: int) -> None:
        self._folder = folder
        self._minimum_mib = minimum_mib

    async def check(self) -> HealthReport:
        """Not ok when the disk is nearly full."""
        existing = next(path for path in (self._folder, *self._folder.parents) if path.exists())
        free = shutil.disk_usage(existing).free >> 20
        if free < self._minimum_mib:
            detail = f"{free} MiB free for {self._folder}, {self._minimum_mib} wanted. Make room or move FACTORY_HOME."
            return HealthReport(ok=False, detail=detail)
        return HealthReport(ok=True, detail=f"{free} MiB free")
