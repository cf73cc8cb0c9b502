"""A sandbox that runs only so many commands at once, so that a hundred agents share two cores without starving them."""

from __future__ import annotations

import asyncio

from factory_core.contracts.sandbox import ProbeRow, Sandbox, SandboxJob, SandboxResult

__all__ = ["TakingTurns"]


class TakingTurns:
    """Waiting for a turn does not count towards a command's time."""

    def __init__(self, sandbox: Sandbox, at_once: int) -> None:
        self.name = sandbox.name
        self._sandbox = sandbox
        self._turns = asyncio.Semaphore(at_once)

    async def probe(self) -> tuple[ProbeRow, ...]:
        """As the sandbox itself."""
        return await self._sandbox.probe()

    async def run(self, job: SandboxJob) -> SandboxResult:
        """Wait for a turn, then run. Raises SandboxUnavailable."""
        async with self._turns:
            return await self._sandbox.run(job)
