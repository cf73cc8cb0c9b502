"""Starting, finding and ending a server's process."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

__all__ = ["end", "find", "launch", "tail", "wait_until"]

# Nothing of the caller's environment: PGDATA, TZ or LC_ALL of a user's shell must not change how a server behaves.
CLEAN = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

_LOG_BYTES = 4 << 20


def launch(command: Sequence[str], *, folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own, so that a key press in a terminal never reaches it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as out:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=CLEAN,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def find(pid_file: Path, *, folder: Path) -> int | None:
    """The process ``pid_file`` names, if it lives and works in ``folder``: a number used again by another is not it."""
    try:
        pid = int(pid_file.read_text().split("\n", 1)[0])
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    with suppress(PermissionError):
        try:
            return pid if Path(f"/proc/{pid}/cwd").readlink() == folder.resolve() else None
        except FileNotFoundError:
            if Path("/proc/self").exists():
                return None  # ended, and not yet reaped
    return pid


def end(pid: int, alive: Callable[[], bool], *steps: tuple[signal.Signals, float]) -> None:
    """Send each signal in turn and wait its seconds, until the process is gone."""
    for number, seconds in steps:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        if wait_until(lambda: not alive(), seconds):
            return


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log, for an error message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
