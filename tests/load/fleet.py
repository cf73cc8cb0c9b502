"""The engine with several worker processes. ``fleet.py POSTGRES_URL REDIS_URL``; prints one JSON object.

``plain``: one organisation, no-op tasks, as the peers have them. ``full``: eight organisations of different weights, half of
them and half of the builds held to a number of running tasks, projects with shares, a payload of 1 KiB in and out, and
one task in twenty that may not start before its time. ``cold`` is the first work for processes that have polled an empty
database; ``warm`` is the same again.
"""

import asyncio
import json
import random
import sys
import time

import asyncpg
import msgspec
from loading import HERE, drained, flat, fresh, load, prepare

from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Journal
from factory_core.builds.shares import OrganisationShare, ProjectShare
from factory_core.kernel.queue import Queue

WORKERS = (1, 2, 4)
BUILDS, TASKS = 100, 120
PAYLOAD = "x" * 1024


class Fleet:
    """Worker processes on a database of their own."""

    def __init__(self, database, redis, size, slots=100):
        self._order, self.size, self._slots = (database, redis), size, slots

    async def __aenter__(self):
        self.url = await fresh(self._order[0], f"bench_fleet_{self.size}")
        await prepare(self.url)
        self.connection = await asyncpg.connect(self.url)
        self.journal, self.queue = Journal(self.connection), Queue(self._order[1])
        return self

    async def hire(self):
        """Start the processes and let them poll."""
        command = [sys.executable, HERE / "crew.py", self.url, self._order[1], str(self._slots)]
        self.crews = [
            await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
            for _ in range(self.size)
        ]
        while await self.connection.fetchval("select count(*) from worker") < self.size:  # noqa: ASYNC110 - see drained
            await asyncio.sleep(0.05)
        await asyncio.sleep(1.2)

    async def __aexit__(self, *_):
        for crew in self.crews:
            crew.terminate()
        self.ran = [int((await crew.communicate())[0]) for crew in self.crews]
        await self.queue.close()
        await self.connection.close()

    async def wake(self):
        for _ in self.crews:
            await self.queue.wake()

    async def timed(self, builds, tasks):
        """Tasks a second."""
        begin = time.perf_counter()
        await self.wake()
        await drained(self.connection, builds)
        return tasks / (time.perf_counter() - begin)

    async def plain(self, org):
        return await load(self.journal, self.connection, [flat(TASKS)] * BUILDS, org)

    async def full(self, orgs):
        builds = []
        async with self.connection.transaction():  # nobody starts before all is there
            for number in range(BUILDS):
                tasks, edges = flat(TASKS, params={"payload": PAYLOAD})
                late = tuple(t if n % 20 else _later(t) for n, t in enumerate(tasks))
                builds += await load(
                    self.journal,
                    self.connection,
                    [(late, edges)],
                    orgs[number % len(orgs)],
                    project=f"project-{number % 3}",
                    max_running=None if number % 2 else 60,
                )
        return builds


def _later(task):
    return msgspec.structs.replace(task, delay=random.uniform(0.01, 0.2))


async def tenants(journal):
    """Eight, of which half have a limit and half have projects that share."""
    orgs = [uuid7() for _ in range(8)]
    for number, org in enumerate(orgs):
        await journal.found(org, f"tenant {number}")
        cap = 80 if number % 2 else None
        await journal.shares.give(org, OrganisationShare(weight=1 + number % 3, max_running=cap))
        if number < 4:
            await journal.shares.give_project(org, "project-1", ProjectShare(weight=2))
    return orgs


async def measure(database, redis):
    figures = {}
    total = BUILDS * TASKS
    for size in WORKERS:
        for kind in ("plain", "full"):
            async with Fleet(database, redis, size) as fleet:
                await fleet.hire()
                if kind == "plain":
                    org = uuid7()
                    await fleet.journal.found(org, "bench")
                else:
                    orgs = await tenants(fleet.journal)
                for state in ("cold", "warm"):
                    builds = await (fleet.plain(org) if kind == "plain" else fleet.full(orgs))
                    figures[f"{kind}_{size}_{state}"] = await fleet.timed(builds, total)
            assert sum(fleet.ran) == 2 * total, (kind, size, fleet.ran)
    return figures


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(*sys.argv[1:]))))
