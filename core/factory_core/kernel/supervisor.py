"""The embedded default's life: servers and workers that outlive a command and end by themselves.

A command calls ``ensure_running``. The first one starts a supervisor, a process in a session of its own; the others attach
to it. It starts the servers, runs the migrations, keeps the worker processes running and ends everything once nobody was
attached and no build ran for a while. Whatever is killed is started again: a child by the supervisor, the supervisor by the
next command.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from msgspec import Struct

from factory_core.contracts.servers import ServerSource
from factory_core.errors import EnvironmentUnfit
from factory_core.kernel.supervisor_children import ChildProcess
from factory_core.kernel.supervisor_state import (
    FileLock,
    SupervisorState,
    last_words,
    read_state,
    run_folder,
    wait_until,
)

__all__ = [
    "Attached",
    "Supervision",
    "SupervisorFailed",
    "SupervisorSpec",
    "ensure_running",
    "status",
    "stop",
]


class Supervision(Struct, frozen=True, kw_only=True):
    """What a supervisor runs, as the function named in ``SupervisorSpec.load`` returns it."""

    servers: tuple[ServerSource, ...] = ()
    """In the order of their start."""
    prepare: Callable[[], object] = lambda: None
    """Runs when the servers answer and before the processes start: the migrations."""
    processes: tuple[ChildProcess, ...] = ()
    busy: Callable[[], bool] = lambda: False
    """Whether builds run. An exception counts as yes."""
    idle_seconds: float = 60.0


class SupervisorSpec(Struct, frozen=True, kw_only=True):
    """How to start a supervisor: it is a new process, so it builds its ``Supervision`` itself."""

    load: str
    """``module:function``; called as ``function(home)`` in the supervisor, returns its Supervision."""
    ready_seconds: float = 90.0
    """How long a start may take; crash recovery after a power cut takes a while."""


class SupervisorFailed(EnvironmentUnfit):
    """The embedded servers or workers did not start."""

    def __init__(self, log: Path, reason: str) -> None:
        self.log = str(log)
        super().__init__(f"The studio's own servers did not start. See {log}, which ends with:\n{reason}")


class Attached:
    """Keeps the supervisor from ending for lack of work, until closed or until this process ends."""

    def __init__(self, home: Path, spec: SupervisorSpec) -> None:
        self._home = home
        self._spec = spec
        self._lock = FileLock(run_folder(home) / "attached.lock")
        try:
            self.state: SupervisorState = self.renew()
        except BaseException:
            self.close()
            raise

    @property
    def urls(self) -> dict[str, str]:
        """``name of the server -> URL``."""
        return self.state.urls

    def renew(self) -> SupervisorState:
        """Start the supervisor again if it was killed; does nothing while it lives. Raises SupervisorFailed."""
        deadline = time.monotonic() + self._spec.ready_seconds
        if not self._lock.take(
            shared=True, seconds=self._spec.ready_seconds
        ):  # one that ends lets go when it is done
            raise SupervisorFailed(_log_of(self._home), "(the one that ran before does not end)")
        self.state = _await_ready(self._home, self._spec, deadline)
        return self.state

    def close(self) -> None:
        """Detach."""
        self._lock.close()

    def __enter__(self) -> Attached:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def ensure_running(home: Path, spec: SupervisorSpec) -> Attached:
    """Attach to the home's supervisor, starting it if there is none, and wait until everything is ready. Raises
    SupervisorFailed with the end of its log."""
    return Attached(home.resolve(), spec)


def status(home: Path) -> SupervisorState | None:
    """What the home's supervisor says, or None when there is none."""
    return read_state(home.resolve())


def stop(home: Path, *, seconds: float = 12.0) -> bool:
    """End the home's supervisor and all it runs; whether nothing runs afterwards."""
    home = home.resolve()
    state = read_state(home)
    if state is None:
        return True
    with suppress(ProcessLookupError):
        os.kill(state.pid, signal.SIGTERM)
    return wait_until(lambda: not _is_held(home), seconds)


def _await_ready(home: Path, spec: SupervisorSpec, deadline: float) -> SupervisorState:
    child: subprocess.Popen[bytes] | None = None
    while True:
        state = read_state(home)
        if state is not None and state.phase == "ready":
            return state
        if child is not None and (code := child.poll()) is not None:
            if code != 0:
                raise SupervisorFailed(_log_of(home), last_words(_log_of(home)))
            child = None  # another command was faster, or it was told to stop
        if child is None and not _is_held(home):
            child = _spawn(home, spec)
        if time.monotonic() > deadline:
            raise SupervisorFailed(_log_of(home), f"(not ready in time)\n{last_words(_log_of(home))}")
        time.sleep(0.02)


def _is_held(home: Path) -> bool:
    lock = FileLock(run_folder(home) / "supervisor.lock")
    try:
        return not lock.take(shared=True)
    finally:
        lock.close()


def _spawn(home: Path, spec: SupervisorSpec) -> subprocess.Popen[bytes]:
    log = _log_of(home)
    log.parent.mkdir(parents=True, exist_ok=True)
    module = "factory_core.kernel.supervisor_process"
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", module, str(home), spec.load],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _log_of(home: Path) -> Path:
    return home / "logs" / "supervisor.log"
