"""A studio in pieces: real PostgreSQL and Valkey, a web process, worker processes, each on a wire of its own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg
import httpx
from proxy import Wire
from redis import asyncio as redis

from factory_core.testing.boot import installed_servers

HERE = Path(__file__).parent
PACE = {"ttl": 2.0, "poll": 0.1, "check": 0.2, "grace": 1.0}
DISK_MIB = 64


class Member(ABC):
    """One process of the studio and the wire it has to the database."""

    def __init__(self, cluster: Cluster, name: str, wire: Wire) -> None:
        self.cluster = cluster
        self.name = name
        self.wire = wire
        self.skew = 0.0
        self.starts = 0
        self.busy = False
        """Something is being done to it."""
        self.process: asyncio.subprocess.Process | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """How it is started."""

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(HERE / "skew"),
            "CHAOS_SKEW": str(self.skew),
            "CHAOS_WORK": str(self.cluster.home / "work"),
        }

    async def start(self) -> None:
        self.starts += 1
        with (self.cluster.home / f"{self.name}.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command(), env=self.environment(), stdout=log, stderr=log, start_new_session=True
            )

    def signal(self, number: int) -> None:
        """To the process and all it started, as for a machine that goes or stands still."""
        if self.process is not None and self.process.returncode is None:
            os.killpg(self.process.pid, number)

    async def kill(self) -> None:
        if self.process is not None:
            self.signal(signal.SIGKILL)
            await self.process.wait()


class WorkerMember(Member):
    slots = 6

    def command(self) -> list[str]:
        cluster = self.cluster
        facts = {
            "database": cluster.database_for(self),
            "queue": cluster.queue_for(self),
            "storage": str(cluster.disk / "objects"),
            "ledger": str(cluster.ledger),
            "slots": self.slots,
            "name": self.name,
            "pace": cluster.pace,
            "mutant": cluster.mutant,
            "doubled": cluster.doubled,
            "seed": f"{cluster.seed} {self.name} {self.starts}",
        }
        return [*cluster.prefix(self), sys.executable, str(HERE / "worker.py"), json.dumps(facts)]


class WebMember(Member):
    """``studio serve --no-worker`` as an operator runs it."""

    port = 0

    def command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "factory_core.kernel.cli", "serve", "--no-worker"),
            *("--port", str(self.port)),
        ]

    def environment(self) -> dict[str, str]:
        cluster = self.cluster
        return {
            **super().environment(),
            "FACTORY_HOME": str(cluster.home / "web"),
            "FACTORY_DATABASE_URL": cluster.database_for(self),
            "FACTORY_QUEUE_URL": cluster.queue_for(self),
            "FACTORY_STORAGE_FOLDER": str(cluster.disk / "objects"),
            "FACTORY_LOG_LEVEL": "warning",
        }


class Cluster:
    """Everything, under one folder."""

    def __init__(
        self, home: Path, seed: int, *, workers: int, mutant: str = "", doubled: float = 0.15
    ) -> None:
        self.home, self.seed = home, seed
        self.mutant, self.doubled = mutant, doubled
        self.pace: dict[str, float] = dict(PACE)
        self.ledger, self.disk = home / "ledger", home / "disk"
        self.database, self.queue = installed_servers(home)
        self.database_up, self.queue_up = asyncio.Lock(), asyncio.Lock()
        self._count = workers
        self.workers: list[WorkerMember] = []
        self.web: WebMember
        self.mounted = False

    @property
    def queue_url(self) -> str:
        return self.queue.url(self.home)

    @property
    def database_url(self) -> str:
        """Straight to the server, for those who check."""
        return self.database.url(self.home)

    @property
    def web_url(self) -> str:
        return f"http://127.0.0.1:{self.web.port}"

    def database_for(self, member: Member) -> str:
        """As the member reaches it."""
        return f"postgresql://postgres@127.0.0.1:{member.wire.port}/factory?sslmode=disable"

    def queue_for(self, member: Member) -> str:
        """As the member reaches it."""
        return self.queue_url

    def prefix(self, member: Member) -> list[str]:
        """What a member's command runs under."""
        return []

    def redis(self) -> Any:
        return redis.Redis.from_url(self.queue_url, socket_timeout=2)

    async def connect(self) -> Any:
        return await asyncpg.connect(self.database_url, timeout=5)

    async def wire(self, host: str = "127.0.0.1") -> Wire:
        query = parse_qs(urlsplit(self.database_url).query)
        wire = Wire(f"{unquote(query['host'][0])}/.s.PGSQL.5432")
        await wire.listen(host)
        return wire

    async def open(self) -> None:
        for folder in (self.ledger, self.disk, self.home / "work", self.home / "web"):
            folder.mkdir(parents=True)
        self._mount()
        await asyncio.gather(*(asyncio.to_thread(s.start, self.home) for s in (self.database, self.queue)))
        self.web = WebMember(self, "web", await self.wire())
        self.web.port = _free_port()
        await self.web.start()
        await self.answering()
        for number in range(self._count):
            worker = WorkerMember(self, f"worker-{number}", await self.wire())
            self.workers.append(worker)

    async def start_workers(self) -> None:
        for number, worker in enumerate(self.workers):
            worker.skew = (0.0, 600.0, -600.0)[number % 3]
            await worker.start()

    async def answering(self) -> None:
        """Wait until the web process serves; one that gave up is started again, as a service manager does."""
        async with httpx.AsyncClient(timeout=2) as client:
            while True:
                try:
                    (await client.get(f"{self.web_url}/api/v1/builds")).raise_for_status()
                except (httpx.HTTPError, OSError):
                    process = self.web.process
                    if process is None or process.returncode is not None:
                        if self.web.starts > 50:
                            raise RuntimeError(f"the web process ends: {self.tail('web')}") from None
                        await self.web.start()
                    await asyncio.sleep(0.05)
                else:
                    return

    def tail(self, name: str) -> str:
        log = self.home / f"{name}.log"
        return log.read_text(errors="replace")[-2000:] if log.exists() else ""

    async def close(self) -> None:
        for member in (*self.workers, self.web):
            await member.kill()
            await member.wire.close()
        for server in (self.queue, self.database):
            await asyncio.to_thread(server.stop, self.home)
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.disk)], check=False)  # noqa: ASYNC221 - nothing else runs by now

    def _mount(self) -> None:
        """A disk of its own that can be filled without harm to the machine."""
        if os.geteuid() == 0:
            mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "chaos", str(self.disk)]
            self.mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0


@asynccontextmanager
async def opened(
    seed: int, *, workers: int, keep: bool = False, kind: type[Cluster] = Cluster, **more: Any
) -> AsyncIterator[Cluster]:
    """A cluster in a folder of its own, gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="chaos-"))
    cluster = kind(home, seed, workers=workers, **more)
    me = asyncio.current_task()
    assert me
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)  # nothing is left running
    try:
        await cluster.open()
        yield cluster
    finally:
        await cluster.close()
        if not keep:
            shutil.rmtree(home, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
