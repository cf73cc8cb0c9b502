"""Four workers on four hosts: they share the work, and one that is cut off loses it to the others.

The hosts are network namespaces on a bridge, PostgreSQL and Valkey are reached over TCP, times are the database's, the pace
is the product's own. ``python tests/chaos/hosts.py``; exit 1 when something is not as it must be. Needs root.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import invariants
import msgspec
from calm import submit
from cluster import Cluster, Member, WorkerMember

from factory_core.builds.journal import Journal
from factory_core.builds.loop import Pace
from factory_core.kernel.database import LOCAL_ORGANISATION
from factory_plugin_embedded import postgres

HOSTS = 4
EVEN = 0.15
BUILDS = 12
PORT = 6379


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Hosts(Cluster):
    """A cluster whose workers live elsewhere."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, 0, workers=0, doubled=0.0)
        self.pace = msgspec.to_builtins(Pace())
        self.mark = f"ch{os.getpid() % 100_000}"
        self.net = f"10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}"

    def database_for(self, member: Member) -> str:
        return f"postgresql://postgres@{self.net}.1:5432/factory?sslmode=disable"

    def queue_for(self, member: Member) -> str:
        return f"redis://{self.net}.1:{PORT}/0"

    def prefix(self, member: Member) -> list[str]:
        return ["ip", "netns", "exec", f"{self.mark}-{member.name}"]

    def link(self, member: Member, state: str) -> None:
        """Plug the host's cable in (``up``) or out (``down``)."""
        ip("link", "set", f"{self.mark}-{member.name}", state)

    async def open(self) -> None:
        for folder in (self.ledger, self.disk, self.home / "work"):
            folder.mkdir(parents=True)
        self._lay_cables()
        # The embedded server listens on a Unix socket only; here it is a server in a network.
        postgres._SETTINGS["listen_addresses"] = f"{self.net}.1"
        for server in (self.database, self.queue):
            await asyncio.to_thread(server.start, self.home)
        with next(self.home.rglob("pg_hba.conf")).open("a") as rules:
            rules.write(f"host all all {self.net}.0/24 trust\n")
        connection = await self.connect()
        await connection.execute("select pg_reload_conf()")
        await connection.close()
        client = self.redis()
        for name, value in (("protected-mode", "no"), ("bind", f"{self.net}.1"), ("port", str(PORT))):
            await client.config_set(name, value)
        await client.aclose()
        environment = {
            **os.environ,
            "FACTORY_HOME": str(self.home),
            "FACTORY_DATABASE_URL": self.database_url,
        }
        migrate = [sys.executable, "-m", "factory_core.kernel.cli", "migrate", "up"]
        await asyncio.to_thread(subprocess.run, migrate, env=environment, check=True, capture_output=True)
        for number in range(HOSTS):
            worker = WorkerMember(self, f"h{number}", await self.wire())
            self.workers.append(worker)
            await worker.start()

    async def close(self) -> None:
        for worker in self.workers:
            await worker.kill()
        for server in (self.queue, self.database):
            await asyncio.to_thread(server.stop, self.home)
        self._take_cables()

    def _take_cables(self) -> None:
        for host in (f"{self.mark}-h{number}" for number in range(HOSTS)):
            subprocess.run(["ip", "link", "del", host], check=False, capture_output=True)
            subprocess.run(["ip", "netns", "del", host], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", self.mark], check=False, capture_output=True)

    def _lay_cables(self) -> None:
        ip("link", "add", self.mark, "type", "bridge")
        ip("addr", "add", f"{self.net}.1/24", "dev", self.mark)
        ip("link", "set", self.mark, "up")
        for number in range(HOSTS):
            host = cable = f"{self.mark}-h{number}"
            ip("netns", "add", host)
            ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", host)
            ip("link", "set", cable, "master", self.mark, "up")
            ip("-n", host, "addr", "add", f"{self.net}.{10 + number}/24", "dev", "eth0")
            ip("-n", host, "link", "set", "eth0", "up")


async def ended(connection: Any, builds: list[Any]) -> None:
    query = "select count(*) from build where id = any ($1) and open"
    async with asyncio.timeout(120):
        while await connection.fetchval(query, builds):  # noqa: ASYNC110 - other processes do it
            await asyncio.sleep(0.05)


async def share(cluster: Hosts, connection: Any, names: dict[str, str]) -> list[str]:
    """Everybody does as much as anybody."""
    while await connection.fetchval("select count(*) from worker") < HOSTS:  # noqa: ASYNC110 - other processes
        await asyncio.sleep(0.05)
    builds = [await submit(cluster, connection, f"even {number}") for number in range(BUILDS)]
    names |= dict.fromkeys(map(str, builds), "even 1")
    await ended(connection, builds)
    rows = await connection.fetch(
        "select w.name, count(*) as n from event e join worker w on w.id = (e.body ->> 'worker')::uuid"
        " where e.kind = 'task.started' group by w.name order by w.name"
    )
    counts = {row["name"]: row["n"] for row in rows}
    mean = sum(counts.values()) / HOSTS
    worst = max(abs(counts.get(f"h{number}", 0) - mean) / mean for number in range(HOSTS))
    print(f"  shares {counts}: {worst:.1%} off even at most")
    return [] if worst <= EVEN else [f"the shares are {worst:.0%} off even"]


async def cut_off(cluster: Hosts, connection: Any, names: dict[str, str]) -> list[str]:
    """Its tasks start elsewhere within the lease and a second; what it says when it is back is refused."""
    build = await submit(cluster, connection, "long 1")
    names[str(build)] = "long 1"
    running = "select count(*) from task where build_id = $1 and state = 'running' and agent = 'work'"
    async with asyncio.timeout(30):
        while await connection.fetchval(running, build) < HOSTS * WorkerMember.slots:  # noqa: ASYNC110 - others
            await asyncio.sleep(0.02)
    lost = cluster.workers[-1]
    held = await connection.fetch(
        "select t.id, t.fence from task t join worker w on w.id = t.worker"
        " where t.build_id = $1 and w.name = $2 and t.state = 'running'",
        build,
        lost.name,
    )
    cut_at = await connection.fetchval("select clock_timestamp()")
    cluster.link(lost, "down")
    await ended(connection, [build])
    cluster.link(lost, "up")
    events = await Journal(connection).events(LOCAL_ORGANISATION, build)
    begun = {(event.task, event.fence): event.at for event in events if event.kind == "task.started"}
    late = [(begun[row["id"], row["fence"] + 1] - cut_at).total_seconds() for row in held]
    print(f"  {len(held)} tasks started elsewhere {min(late):.2f} to {max(late):.2f} s after the cut")
    found = [] if max(late) <= cluster.pace["ttl"] + 1 else [f"a task waited {max(late):.1f} s"]
    expected = {(str(build), row["id"], row["fence"]) for row in held}
    async with asyncio.timeout(60):
        while not expected <= set(refused := dict(invariants.Ledger(cluster.ledger).refused)):  # noqa: ASYNC110 - others
            await asyncio.sleep(0.1)
    print(f"  {len(expected)} late answers refused: {Counter(refused[attempt] for attempt in expected)}")
    return found


async def main() -> int:
    home = Path(tempfile.mkdtemp(prefix="chaos-"))
    cluster = Hosts(home)
    try:
        await cluster.open()
        connection = await cluster.connect()
        names: dict[str, str] = {}
        found = [*await share(cluster, connection, names), *await cut_off(cluster, connection, names)]
        journal = await invariants.Journal.read(connection)
        found += invariants.check(journal, names)
        found += invariants.ran(journal, invariants.Ledger(cluster.ledger))
        await connection.close()
    finally:
        await cluster.close()
        shutil.rmtree(home, ignore_errors=True)
    for line in found:
        print(f"VIOLATION {line}")
    return bool(found)


if __name__ == "__main__":
    if os.geteuid() != 0 or shutil.which("ip") is None:
        sys.exit("Four hosts need root and the program ip (Debian: iproute2). Run: sudo make chaos")
    sys.exit(asyncio.run(main()))
