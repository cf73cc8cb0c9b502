"""The engine measured like its peers. ``ours.py POSTGRES_URL REDIS_URL``; prints one JSON object.

The database is fresh and the worker has polled it empty before the first work comes: that is "cold". Loading is not
timed, as it is not for the peers whose loading is slow.
"""

import asyncio
import json
import logging
import random
import sys
import time

import asyncpg
import structlog
import uvloop
from loading import drained, flat, load, prepare

from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Completion, Journal, NewEdge, NewTask, Submission
from factory_core.kernel.queue import Queue
from factory_core.kernel.worker import WorkerOrder, run_worker

DATABASE, REDIS = sys.argv[1:3]
ORG = uuid7()
RUNNING = "select count(*) from task where agent = 'hold' and state = 'running'"


class Bench:
    """Runs no-ops, and tasks that last until they are let go; remembers when what started."""

    def __init__(self) -> None:
        self.ran = self.holding = 0
        self.let_go = asyncio.Event()
        self.started: dict[object, float] = {}
        self.ended = asyncio.Event()
        self.expected = -1

    async def run(self, assignment):
        self.started[assignment.build, assignment.task] = time.perf_counter()
        if assignment.agent == "sleep":
            await asyncio.sleep(float(assignment.params["seconds"]))
        if assignment.agent == "hold":
            self.holding += 1
            await self.let_go.wait()
            self.holding -= 1
        self.ran += 1
        if self.ran == self.expected:
            self.ended.set()
        return Completion()


class Session:
    """A worker in this process, under one way of waking."""

    def __init__(self, wakes, *, slots=100, arq_poll=0.01):
        self.bench, self.stop = Bench(), asyncio.Event()
        self.order = WorkerOrder(
            database_url=DATABASE,
            queue_url=REDIS if wakes else None,
            slots=slots,
            wakes=wakes or "list",
            arq_poll=arq_poll,
        )

    async def __aenter__(self):
        self.connection = await asyncpg.connect(DATABASE)
        self.journal, self.queue = Journal(self.connection), Queue(self.order.queue_url)
        await self.journal.found(ORG, "bench")
        self.task = asyncio.create_task(run_worker(self.order, self.bench, stop=self.stop))
        await asyncio.sleep(1.2)
        return self

    async def __aexit__(self, *_):
        self.stop.set()
        await self.task
        await self.queue.close()
        await self.connection.close()

    async def timed(self, plans):
        builds = await load(self.journal, self.connection, plans, ORG)
        visits = sum(t.agent != "barrier" for tasks, _ in plans for t in tasks)
        before = self.bench.ran
        begin = time.perf_counter()
        await self.queue.wake()
        await drained(self.connection, builds)
        seconds = time.perf_counter() - begin
        assert self.bench.ran == before + visits, (self.bench.ran, before, visits)
        return seconds

    async def start_p95(self, holding):
        self.bench.let_go.clear()
        held = (
            await load(self.journal, self.connection, [flat(holding, agent="hold")], ORG) if holding else []
        )
        await self.queue.wake()
        async with asyncio.timeout(20):
            while self.bench.holding < holding:  # noqa: ASYNC110 - agents come one by one
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        await self.check_held(holding)
        sent = {}
        for _ in range(40):
            await asyncio.sleep(random.random() * 0.05)
            now = time.perf_counter()
            order = Submission(org=ORG, idem_key=str(uuid7()), spec_digest="")
            build = (await self.journal.submit(order)).build
            await self.queue.wake(build)
            sent[build] = now
        await asyncio.sleep(0.5)
        times = sorted(self.bench.started[build, "plan"] - now for build, now in sent.items())
        await self.check_held(holding)
        self.bench.let_go.set()
        await drained(self.connection, held)
        return times[37] * 1000

    async def check_held(self, holding):
        """That so many tasks run, by the agents and by the journal."""
        running = await self.connection.fetchval(RUNNING)
        assert self.bench.holding == running == holding, (self.bench.holding, running, holding)


async def main():
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    await prepare(DATABASE)
    figures = {}
    many = [flat(120) for _ in range(100)]
    async with Session("arq") as session:
        figures["arq_cold"] = 12_000 / await session.timed(many)
        figures["arq_warm"] = 12_000 / await session.timed(many)
        figures["arq_hot_build"] = 4_000 / await session.timed([flat(4_000)])
    async with Session("list") as session:
        figures["direct"] = 12_000 / await session.timed(many)
    chain = tuple(NewTask(id=f"t{n}", agent="sleep", params={"seconds": "0.01"}) for n in range(40))
    edges = tuple(NewEdge(f"t{n}", f"t{n + 1}") for n in range(39))
    fan = (NewTask(id="root", agent="noop"), *flat(200)[0], NewTask(id="end", agent="barrier"))
    fan_edges = tuple(e for n in range(200) for e in (NewEdge("root", f"t{n}"), NewEdge(f"t{n}", "end")))
    async with Session("both", slots=500, arq_poll=0.1) as session:
        figures["chain_ms"] = 1000 * await session.timed([(chain, edges)])
        figures["fan_ms"] = 1000 * await session.timed([(fan, fan_edges)])
        figures["start_p95_ms"] = await session.start_p95(0)
        figures["start_busy_p95_ms"] = await session.start_p95(400)
    print(json.dumps(figures))


uvloop.run(main())
