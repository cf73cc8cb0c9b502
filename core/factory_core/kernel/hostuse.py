"""What a worker does every few seconds about the host it shares: tells the journal what its commands took, and keeps the
shares of those that run as they are now."""

from __future__ import annotations

import asyncio
from uuid import UUID

import structlog

from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Journal
from factory_core.builds.shares import owner_of
from factory_core.sandbox.ledger import LEDGER, Ledger, Names, Taken, weigh

__all__ = ["HostUse"]

_log = structlog.get_logger(__name__)


class HostUse:
    """Of one process, which is told from others by an id of its own."""

    def __init__(self, journal: Journal, ledger: Ledger = LEDGER) -> None:
        self._shares = journal.shares
        self._ledger = ledger
        self._process = uuid7()

    async def turn(self) -> None:
        """Do it once. What could not be told is told the next time; an answer that was lost counts twice."""
        running = {names: group for names, group in self._ledger.running().items() if _whose(names)}
        if running:
            await asyncio.to_thread(weigh, running, await self._shares.as_now(running))
        taken = self._ledger.take()
        told: dict[tuple[UUID, str], Taken] = {}
        for names, each in taken.items():
            whose = _whose(names)
            if whose is not None:
                told[whose] = each
        if not told:
            return
        try:
            await self._shares.count_use(
                self._process, {who: (t.seconds, t.memory) for who, t in told.items()}
            )
        except BaseException:
            self._ledger.put_back(taken)
            raise

    async def run(self, every: float = 5.0) -> None:
        """For ever, every so many seconds."""
        while True:
            await asyncio.sleep(every)
            try:
                await self.turn()
            except Exception:  # noqa: BLE001 - figures are no reason to stop working
                _log.exception("what commands took of the host could not be told")


def _whose(names: Names) -> tuple[UUID, str] | None:
    """Organisation and project of a command that a build runs."""
    if len(names) != 2:
        return None
    org = owner_of(names[0])
    return None if org is None else (org, names[1])
