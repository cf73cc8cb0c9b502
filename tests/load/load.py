"""``make load``: 100 builds of 200 agents on two workers, while somebody asks the web 50 times a second.

Requests are sent when they are due, however long others take (open loop); their time counts from then. Writes
``.bench/load.json``. Exit 1 when a build did not end right, an invariant is violated or memory grew.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import time
from pathlib import Path

import httpx
import msgspec
import psutil

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "chaos"))

import cluster as chaos  # noqa: E402 - the same studio in pieces as there, unharmed
import invariants  # noqa: E402 - as above
import plans  # noqa: E402 - as above

from factory_core.builds.loop import Pace  # noqa: E402 - as above

RATE = 50.0
P95_BAR, GROWTH_BAR = 0.100, 1.2


class Quiet(chaos.Cluster):
    """Nothing between the processes and the database."""

    def database_for(self, member: chaos.Member) -> str:
        return self.database_url


class Load:
    """The builds, the questions and the samples of one measurement."""

    def __init__(self, cluster: chaos.Cluster, builds: int) -> None:
        self.cluster = cluster
        self.builds = builds
        self.names: dict[str, str] = {}
        self.times: dict[str, list[float]] = {"list": [], "details": []}
        self.refused = 0
        self.memory: dict[str, list[int]] = {}

    async def order(self, client: httpx.AsyncClient) -> None:
        for number in range(self.builds):
            name = f"noop {number}"
            answer = await client.post("/api/v1/builds", json={"spec": plans.spec(name)})
            self.names[answer.raise_for_status().json()["id"]] = name

    async def ask_for_ever(self, client: httpx.AsyncClient) -> None:
        loop, asked, dice = asyncio.get_running_loop(), set(), random.Random(1)
        builds, due = list(self.names), loop.time()
        try:
            while True:
                due += 1 / RATE
                await asyncio.sleep(max(0.0, due - loop.time()))
                kind = "list" if len(asked) % 2 else "details"
                path = "/api/v1/builds" if kind == "list" else f"/api/v1/builds/{dice.choice(builds)}"
                asked.add(asyncio.create_task(self._ask(client, kind, path, due)))
        finally:
            await asyncio.gather(*asked)

    async def _ask(self, client: httpx.AsyncClient, kind: str, path: str, due: float) -> None:
        answer = await client.get(path)
        self.refused += answer.status_code != 200
        self.times[kind].append(asyncio.get_running_loop().time() - due)

    async def weigh_for_ever(self) -> None:
        while True:
            for member in (*self.cluster.workers, self.cluster.web):
                process = psutil.Process(member.process.pid)
                family = [process, *process.children(recursive=True)]
                weight = sum(each.memory_info().rss for each in family)
                self.memory.setdefault(member.name, []).append(weight)
            await asyncio.sleep(0.5)

    async def drained(self) -> None:
        connection = await self.cluster.connect()
        async with asyncio.timeout(600):
            while await connection.fetchval("select count(*) from build where open"):  # noqa: ASYNC110 - others
                await asyncio.sleep(0.1)
        await connection.close()

    async def judge(self) -> list[str]:
        connection = await self.cluster.connect()
        journal = await invariants.Journal.read(connection)
        await connection.close()
        ledger = invariants.Ledger(self.cluster.ledger)
        return [*invariants.check(journal, self.names), *invariants.ran(journal, ledger)]

    def figures(self, seconds: float) -> dict[str, float]:
        figures = {
            "builds": float(self.builds),
            "seconds": seconds,
            "tasks_per_second": self.builds * 200 / seconds,
            "requests": float(sum(map(len, self.times.values()))),
            "refused": float(self.refused),
        }
        for kind, times in self.times.items():
            if len(times) > 1:
                figures[f"{kind}.p50_ms"] = statistics.median(times) * 1000
                figures[f"{kind}.p95_ms"] = statistics.quantiles(times, n=20)[-1] * 1000
        for name, weights in self.memory.items():
            # The first sample is of a process that has not worked yet.
            points = [weights[round(n * (len(weights) - 1) / 4)] for n in range(5)]
            figures |= {f"memory.{name}.{n}_mib": weight / 2**20 for n, weight in enumerate(points)}
            figures[f"memory.{name}.growth"] = points[-1] / points[1]
        return figures


async def measure(builds: int) -> tuple[dict[str, float], list[str]]:
    """Order everything, then let the workers begin and ask until all is done."""
    chaos.WorkerMember.slots = 16
    async with chaos.opened(1, workers=2, doubled=0.0, kind=Quiet) as cluster:
        cluster.pace = msgspec.to_builtins(Pace())
        load = Load(cluster, builds)
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
        async with httpx.AsyncClient(base_url=cluster.web_url, timeout=30, limits=limits) as client:
            await load.order(client)
            for worker in cluster.workers:
                await worker.start()
            began = time.monotonic()
            beside = [
                asyncio.create_task(load.ask_for_ever(client)),
                asyncio.create_task(load.weigh_for_ever()),
            ]
            await load.drained()
            seconds = time.monotonic() - began
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
        found = await load.judge()
        return load.figures(seconds), found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--builds", type=int, default=100)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    figures, found = asyncio.run(measure(options.builds))
    for name, value in figures.items():
        print(f"{name:32s} {value:10.2f}")
    bar = P95_BAR * 1000
    late = [name for name in ("list.p95_ms", "details.p95_ms") if figures[name] > bar]
    for name in ("list.p95_ms", "details.p95_ms"):
        print(f"{figures[name]:8.1f} {name} (bar {bar:g}){'  MISSED' if name in late else ''}")
    grown = [n for n, value in figures.items() if n.endswith(".growth") and value > GROWTH_BAR]
    found += [f"{name}: {figures[name]:.2f} times as much as at the second look" for name in grown]
    found += [f"{figures['refused']:.0f} requests were refused"] if figures["refused"] else []
    for line in found[:20]:
        print(f"VIOLATION {line}")
    folder = ROOT / ".bench"
    folder.mkdir(exist_ok=True)
    (folder / "load.json").write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")
    return bool(found or late)


if __name__ == "__main__":
    sys.exit(main())
