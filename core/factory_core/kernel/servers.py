"""The servers a command needs: configured ones are left alone, embedded ones run while the command does."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from factory_core.kernel.boot import Studio
from factory_core.settings import child_environment

RESTART_SECONDS = 1.0
LEAVE_SECONDS = 30.0


@contextmanager
def servers_running(studio: Studio) -> Generator[None, None, None]:
    """Start the embedded servers that do not run, and stop those again in the end. Raises ServerStartError."""
    with ExitStack() as stack:
        for source in (studio.database_source(), studio.queue_source()):
            if source is not None and not source.alive(studio.home):
                source.start(studio.home)
                stack.callback(source.stop, studio.home)
        yield


@contextmanager
def worker_running(studio: Studio) -> Generator[None, None, None]:
    """Keep one worker process beside this one: started again when it dies, asked to leave in the end."""
    stopping = threading.Event()
    current: list[subprocess.Popen[bytes]] = []

    def keep() -> None:
        while not stopping.is_set():
            process = subprocess.Popen(
                [sys.executable, "-m", "factory_core.kernel.cli", "worker"],
                env=child_environment(studio.sources),
            )
            current[:] = [process]
            if stopping.is_set():  # set while it started, when the other thread could not see it yet
                process.terminate()
            process.wait()
            stopping.wait(RESTART_SECONDS)

    keeper = threading.Thread(target=keep, name="worker-keeper")
    keeper.start()
    try:
        yield
    finally:
        stopping.set()
        for process in current:
            process.terminate()
            try:
                process.wait(LEAVE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        keeper.join()
