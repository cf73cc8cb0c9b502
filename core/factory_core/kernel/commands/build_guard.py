"""While a command waits for a build, somebody must be working: who was killed is started again, who cannot start is told."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Protocol

from factory_core.errors import EnvironmentUnfit
from factory_core.kernel import supervisor
from factory_core.kernel.supervisor_state import SupervisorState, last_words

__all__ = ["Guard", "WorkersKeepDying"]

LOOK_SECONDS = 1.0
DEATHS = 5


class WorkersKeepDying(EnvironmentUnfit):
    """No worker stays up, so nothing would ever happen."""

    def __init__(self, log: Path) -> None:
        self.log = str(log)
        super().__init__(
            f"No worker stays up; the build is kept and goes on when one does. {log} ends with:\n{last_words(log, 8)}"
        )


class Renewable(Protocol):
    """What keeps a supervisor running."""

    def renew(self) -> SupervisorState: ...


class Guard:
    """Looks after the supervisor of a home while nothing is heard of a build."""

    def __init__(self, attached: Renewable, home: Path, *, every: float = LOOK_SECONDS) -> None:
        self._attached = attached
        self._home = home
        self._every = every
        self._worker = 0
        self._deaths = 0
        self._looked = time.monotonic()

    def calm(self) -> None:
        """Something happened: the workers work."""
        self._deaths = 0

    async def look(self) -> None:
        """At most once in ``every`` seconds. Raises WorkersKeepDying or SupervisorFailed."""
        if time.monotonic() - self._looked < self._every:
            return
        self._looked = time.monotonic()
        state = supervisor.status(self._home)
        if state is None:
            state = await asyncio.to_thread(self._attached.renew)
        worker = state.children.get("worker", 0)
        if worker and worker != self._worker:
            self._deaths += 1
            self._worker = worker
        if self._deaths > DEATHS:
            raise WorkersKeepDying(self._home / "logs" / "worker.log")
