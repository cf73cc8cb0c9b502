"""The supervisor itself: ``python -P -m factory_core.kernel.supervisor_process HOME module:function``."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from factory_core.errors import FactoryError, ServerStartError
from factory_core.kernel.supervisor import Supervision
from factory_core.kernel.supervisor_children import ChildKeepsDying, Children, StopSignal
from factory_core.kernel.supervisor_state import (
    FileLock,
    Phase,
    SupervisorState,
    forget,
    last_words,
    run_folder,
    write_state,
)

_log = logging.getLogger("factory.supervisor")

_CHECK_SECONDS = 1.0
_READY_SECONDS = 60.0
_LOG_BYTES = 8 << 20


class Supervisor:
    """Runs servers and processes for one home until told to stop or idle for long enough."""

    def __init__(self, home: Path, supervision: Supervision, stop: StopSignal) -> None:
        self._home = home
        self._plan = supervision
        self._stop = stop
        self._children = Children(supervision.processes, home / "logs")
        self._attached = FileLock(run_folder(home) / "attached.lock")
        self._started = time.time()
        self._busy_at = self._asked_at = time.monotonic()

    def run(self) -> None:
        """Everything from the first server to the last."""
        try:
            self._tell("starting")
            self._begin()
            self._tell("ready")
            _log.info("ready after %.2f s", time.time() - self._started)
            self._watch()
        finally:
            self._tell("stopping")
            self._end()
            forget(self._home)
            self._attached.close()

    def _begin(self) -> None:
        with self._stop.at_once():
            for server in self._plan.servers:
                server.start(self._home)
            self._plan.prepare()
        deadline = time.monotonic() + _READY_SECONDS
        while not self._stop.asked:
            pause = self._children.tend()
            starting = self._children.starting()
            if not starting:
                return
            if time.monotonic() > deadline:
                raise ServerStartError(
                    f"{', '.join(starting)} did not become ready within {_READY_SECONDS:.0f} s."
                )
            self._stop.wait(min(pause, 0.05))

    def _watch(self) -> None:
        pids = self._children.pids()
        checked = 0.0
        while not self._stop.wait(min(self._children.tend(), _CHECK_SECONDS)):
            if self._children.pids() != pids:
                pids = self._children.pids()
                self._tell("ready")
            if time.monotonic() - checked >= _CHECK_SECONDS / 2:
                _trim(self._home / "logs")
                with self._stop.at_once():
                    self._revive_servers()
                    if self._is_idle():
                        _log.info("idle for %.0f s", self._plan.idle_seconds)
                        return
                checked = time.monotonic()

    def _revive_servers(self) -> None:
        for server in self._plan.servers:
            if not server.alive(self._home):
                _log.warning("%s does not answer; starting it", server.name)
                with suppress(ServerStartError):  # the next round tries again
                    server.start(self._home)

    def _is_idle(self) -> bool:
        """Whether nobody was attached and nothing ran for the whole time. If so, nobody can attach any more."""
        now, idle = time.monotonic(), self._plan.idle_seconds
        if not self._attached.take():
            self._busy_at = now
            return False
        if now - self._busy_at >= idle or now - self._asked_at >= min(5.0, idle / 4):
            self._asked_at = now
            if self._is_busy():
                self._busy_at = now
        if now - self._busy_at < idle:
            self._attached.release()
            return False
        return True

    def _is_busy(self) -> bool:
        try:
            return self._plan.busy()
        except Exception as error:  # noqa: BLE001 (a database that is being restarted; work is lost by stopping too soon)
            _log.warning("whether builds run is not known: %r", error)
            return True

    def _end(self) -> None:
        self._children.stop()
        for server in reversed(self._plan.servers):
            try:
                server.stop(self._home)
            except Exception:  # noqa: BLE001 (the others are still to be stopped)
                _log.exception("%s could not be stopped", server.name)
        _log.info("stopped")

    def _tell(self, phase: Phase) -> None:
        urls = {server.name: server.url(self._home) for server in self._plan.servers}
        state = SupervisorState(
            pid=os.getpid(), started=self._started, phase=phase, urls=urls, children=self._children.pids()
        )
        write_state(self._home, state)


def _trim(logs: Path) -> None:
    """Keep logs short. All of them are appended to, so a log can be emptied while it is written."""
    for log in logs.glob("*.log"):
        if log.stat().st_size > _LOG_BYTES:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)


def supervise(home: Path, load: Callable[[Path], Supervision]) -> int:
    """Supervise a home unless somebody does; the exit code of the process."""
    lock = FileLock(run_folder(home) / "supervisor.lock")  # never closed: it tells that this process lives
    if not lock.take(seconds=0.5):  # whoever looks whether it is held holds it for a moment
        return 0
    with StopSignal() as stop:
        try:
            forget(home)
            Supervisor(home, load(home), stop).run()
        except FactoryError as error:
            _log.error("%s", error)
            return error.exit_code
        except ChildKeepsDying as error:
            log = home / "logs" / f"{error.name}.log"
            _log.error("%s. The end of %s:\n%s", error, log, last_words(log))
            return 4
    return 0


def _main(home: str, factory: str) -> int:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    module, _, function = factory.partition(":")
    return supervise(Path(home), getattr(import_module(module), function))


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
