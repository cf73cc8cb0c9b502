"""Processes that are started again when they die, and end with whoever started them."""

from __future__ import annotations

import ctypes
import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO

from msgspec import Struct

__all__ = ["ChildProcess", "Children", "StopSignal", "run_children"]

_log = logging.getLogger("factory.supervisor")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0
_STEADY_SECONDS = 30.0  # Who ran this long did not die of being started.
_GRACE_SECONDS = 3.5

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class ChildProcess(Struct, frozen=True, kw_only=True):
    """A command to keep running. Start Python with ``-P``, or modules in the user's folder shadow ours."""

    name: str
    """Unique; its output goes to ``logs/<name>.log``."""
    command: tuple[str, ...]
    ready: Callable[[], bool] = lambda: True
    """Asked after the start until it is true; the studio is not ready before."""


class StopSignal:
    """Notices SIGTERM and SIGINT, and interrupts a wait when one arrives or a child ends."""

    def __init__(self) -> None:
        self.asked = False
        self._at_once = False
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        os.set_blocking(self._reader, False)
        self._before = {
            number: signal.signal(number, self._notice)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
        }

    def __enter__(self) -> StopSignal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._reader)
        os.close(self._writer)

    def wait(self, seconds: float) -> bool:
        """Whether to stop, known after at most so many seconds."""
        if not self.asked and select.select([self._reader], [], [], seconds)[0]:
            with suppress(BlockingIOError):
                os.read(self._reader, 4096)
        return self.asked

    @contextmanager
    def at_once(self) -> Generator[None, None, None]:
        """Inside, a signal raises SystemExit: for long calls that are safe to break off."""
        if self.asked:
            raise SystemExit(0)
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def _notice(self, number: int, frame: FrameType | None) -> None:
        del frame
        with suppress(BlockingIOError):
            os.write(self._writer, b".")
        if number != signal.SIGCHLD:
            self.asked = True
            if self._at_once:
                self._at_once = False
                raise SystemExit(0)


class Children:
    """Keeps processes running. Every one leads a session of its own, whose rest is killed when it ends."""

    def __init__(self, specs: Sequence[ChildProcess], logs: Path | None = None) -> None:
        self._children = [_Child(spec, logs) for spec in specs]

    def tend(self) -> float:
        """Start what does not run and may, and tell for how many seconds nothing else is due."""
        return min((child.tend() for child in self._children), default=1.0)

    def starting(self) -> list[str]:
        """The names of those that are not ready. Raises ChildKeepsDying."""
        return [child.spec.name for child in self._children if not child.is_ready()]

    def stop(self) -> None:
        """Ask all to end, and kill what has not ended in time."""
        for child in self._children:
            child.ask_to_end()
        deadline = time.monotonic() + _GRACE_SECONDS
        for child in self._children:
            child.end(max(0.0, deadline - time.monotonic()))

    def pids(self) -> dict[str, int]:
        """The running ones."""
        return {child.spec.name: child.process.pid for child in self._children if child.process is not None}


class ChildKeepsDying(Exception):
    """A process that ended again and again before it was ready."""

    def __init__(self, name: str, code: int) -> None:
        self.name = name
        super().__init__(f"{name} ended with code {code} again and again while starting")


class _Child:
    def __init__(self, spec: ChildProcess, logs: Path | None) -> None:
        self.spec = spec
        self.process: subprocess.Popen[bytes] | None = None
        self._logs = logs
        self._started = self._due = 0.0
        self._deaths = 0
        self._last_code = 0
        self._ready = False

    def tend(self) -> float:
        now = time.monotonic()
        if self.process is not None and self.process.poll() is not None:
            self._bury(self.process, now)
        if self.process is None and now >= self._due:
            self._start(now)
        return 1.0 if self.process is not None else self._due - now

    def is_ready(self) -> bool:
        if self._deaths >= 4 and not self._ready:
            raise ChildKeepsDying(self.spec.name, self._last_code)
        self._ready = self._ready or (
            self.process is not None and self.process.poll() is None and self.spec.ready()
        )
        return self._ready

    def ask_to_end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def end(self, seconds: float) -> None:
        if self.process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        _kill_session(self.process.pid)
        self.process.wait()
        self.process = None

    def _start(self, now: float) -> None:
        output = self._open_log()
        try:
            self.process = subprocess.Popen(
                self.spec.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_end_with(os.getpid()),  # safe: the supervisor has one thread
            )
            self._started = now
        except OSError as error:
            _log.error("%s cannot be started: %s", self.spec.name, error)
            self._last_code = 127
            self._postpone(now)
        finally:
            if output is not None:
                output.close()

    def _open_log(self) -> IO[bytes] | None:
        if self._logs is None:
            return None
        self._logs.mkdir(parents=True, exist_ok=True)
        return (self._logs / f"{self.spec.name}.log").open("ab")

    def _bury(self, process: subprocess.Popen[bytes], now: float) -> None:
        _kill_session(process.pid)
        self.process = None
        self._last_code = process.returncode
        if now - self._started > _STEADY_SECONDS:
            self._deaths = 0
        self._postpone(now)
        _log.warning(
            "%s (pid %d) ended with code %d; started again in %.1f s",
            self.spec.name,
            process.pid,
            process.returncode,
            self._due - now,
        )

    def _postpone(self, now: float) -> None:
        self._due = now + min(_FIRST_PAUSE * 2**self._deaths, _LONGEST_PAUSE)
        self._deaths += 1


def run_children(specs: Sequence[ChildProcess], logs: Path | None = None) -> None:
    """Keep processes running in the foreground until SIGTERM or SIGINT; without ``logs`` they share our output."""
    children = Children(specs, logs)
    with StopSignal() as stop:
        try:
            while not stop.wait(children.tend()):
                pass
        finally:
            children.stop()


def _kill_session(pid: int) -> None:
    """What a process leaves behind in its group, such as the workers of a killed web server."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _end_with(parent: int) -> Callable[[], None]:
    """Runs in the child: it gets SIGTERM when the supervisor is gone, however that went."""

    def arrange() -> None:
        if sys.platform == "linux":
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

    return arrange
