"""A sandbox that runs only so many commands at once, so that a hundred agents share two cores without starving them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from factory_core.contracts.sandbox import HostShare, ProbeRow, Sandbox, SandboxJob, SandboxResult

__all__ = ["TakingTurns"]

Shares = tuple[HostShare, ...]


class TakingTurns:
    """A free turn goes to who runs least for its weight: first the organisation, then its project, then who came first.

    An organisation that runs less than its part of the turns, by weight and at least one, waits for nobody: the processor is
    then the kernel's to divide, and what others began is not waited for. So an organisation that comes to a full host
    makes the commands more than the turns until others have ended. Waiting for a turn does not count towards a command's
    time."""

    def __init__(self, sandbox: Sandbox, at_once: int) -> None:
        self.name = sandbox.name
        self._sandbox = sandbox
        self._at_once = at_once
        self._running: dict[tuple[str, ...], int] = {}
        """How many run for each share, by the names down to it; of all, under no name."""
        self._waiting: list[tuple[Shares, asyncio.Future[None]]] = []
        """In the order they came."""
        self._weights: dict[tuple[str, ...], int] = {}
        """Of the organisations that run or wait."""

    async def probe(self) -> tuple[ProbeRow, ...]:
        """As the sandbox itself."""
        return await self._sandbox.probe()

    async def run(self, job: SandboxJob) -> SandboxResult:
        """Wait for a turn, then run. Raises SandboxUnavailable."""
        async with self._turn(job.shares):
            return await self._sandbox.run(job)

    @contextlib.asynccontextmanager
    async def _turn(self, shares: Shares) -> AsyncGenerator[None]:
        given = asyncio.get_running_loop().create_future()
        self._waiting.append((shares, given))
        self._weights[_names(shares)[1]] = shares[0].weight if shares else 1
        try:
            self._give()
            await given
            yield
        finally:
            if given.done() and not given.cancelled():
                self._count(shares, -1)
            self._waiting = [(whose, each) for whose, each in self._waiting if each is not given]
            busy = {_names(whose)[1] for whose, _ in self._waiting} | self._running.keys()
            self._weights = {name: weight for name, weight in self._weights.items() if name in busy}
            self._give()

    def _give(self) -> None:
        while self._waiting:
            full = self._running.get((), 0) >= self._at_once
            fit = [waiting for waiting in self._waiting if not full or self._is_behind(waiting[0])]
            if not fit:
                return
            whose, given = min(fit, key=lambda waiting: self._load(waiting[0]))
            self._waiting = [(each, other) for each, other in self._waiting if other is not given]
            if not given.cancelled():
                self._count(whose, 1)
                given.set_result(None)

    def _is_behind(self, whose: Shares) -> bool:
        name = _names(whose)[1]
        part = self._at_once * self._weights[name] / sum(self._weights.values())
        return self._running.get(name, 0) + 1 <= max(1.0, part)

    def _load(self, whose: Shares) -> list[float]:
        names = _names(whose)[1:]
        weights = [share.weight for share in whose] or [1]
        return [self._running.get(name, 0) / weight for name, weight in zip(names, weights, strict=True)]

    def _count(self, whose: Shares, more: int) -> None:
        for name in _names(whose):
            left = self._running.get(name, 0) + more
            self._running[name] = left
            if not left:
                del self._running[name]


def _names(whose: Shares) -> list[tuple[str, ...]]:
    """Of all, of the organisation, of the project. Who has no share counts as one organisation more."""
    names = tuple(share.name for share in whose) or ("",)
    return [names[:depth] for depth in range(len(names) + 1)]
