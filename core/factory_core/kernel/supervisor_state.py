"""What a supervisor and those who use it know of each other: two lock files and a state file in ``run``.

The kernel releases a lock with the process that holds it, so nobody who was killed is ever waited for.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

__all__ = [
    "FileLock",
    "Phase",
    "SupervisorState",
    "forget",
    "last_words",
    "read_state",
    "run_folder",
    "wait_until",
    "write_state",
]

Phase = Literal["starting", "ready", "stopping"]


class SupervisorState(Struct, frozen=True, kw_only=True):
    """``run/supervisor.json``. To be believed only while the supervisor's lock is held."""

    pid: int
    started: float
    """Unix time."""
    phase: Phase
    urls: dict[str, str] = {}
    """``name of the server -> URL``."""
    children: dict[str, int] = {}
    """``name -> pid`` when it was last written."""


class FileLock:
    """An advisory lock on a file, ours until closed or until the process ends."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self, *, shared: bool = False, seconds: float = 0.0) -> bool:
        """Whether we have it, after waiting at most so long."""
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        return wait_until(lambda: self._try(kind), seconds)

    def release(self) -> None:
        """Let others have it."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let others have it, for good, even if a forked process still holds the file open."""
        if self._descriptor >= 0:
            self.release()
            os.close(self._descriptor)
            self._descriptor = -1

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self._descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def run_folder(home: Path) -> Path:
    """The folder of locks and sockets, entered by this user only."""
    folder = home / "run"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def write_state(home: Path, state: SupervisorState) -> None:
    """Replace the state as a whole."""
    fresh = run_folder(home) / "supervisor.json.new"
    fresh.write_bytes(msgspec.json.encode(state))
    fresh.replace(fresh.with_suffix(""))


def read_state(home: Path) -> SupervisorState | None:
    """The state of a supervisor that lives, or None."""
    try:
        state = msgspec.json.decode((home / "run" / "supervisor.json").read_bytes(), type=SupervisorState)
        os.kill(state.pid, 0)
    except (OSError, msgspec.DecodeError):
        return None
    lock = FileLock(run_folder(home) / "supervisor.lock")
    try:
        return None if lock.take(shared=True) else state
    finally:
        lock.close()


def forget(home: Path) -> None:
    """Remove the state."""
    with suppress(OSError):
        (home / "run" / "supervisor.json").unlink()


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True


def last_words(log: Path, lines: int = 15) -> str:
    """The end of a log, for an error message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(nothing)"
