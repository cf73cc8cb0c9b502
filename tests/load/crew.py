"""A worker process for measurements. ``crew.py POSTGRES_URL REDIS_URL SLOTS``; prints how many tasks it ran.

Agents: ``noop``; ``sleep`` for as long as its params say. A task that brings a payload leaves one as long.
"""

import asyncio
import logging
import sys

import structlog
import uvloop

from factory_core.builds.journal import Completion
from factory_core.kernel.worker import WorkerOrder, run_worker


class Crew:
    """Counts what it ran."""

    def __init__(self):
        self.ran = 0

    async def run(self, assignment):
        if assignment.agent == "sleep":
            await asyncio.sleep(float(assignment.params["seconds"]))
        self.ran += 1
        payload = assignment.params.get("payload")
        return Completion(result={"data": {"payload": payload}} if payload else {})


async def main(database, redis, slots):
    crew = Crew()
    order = WorkerOrder(database_url=database, queue_url=redis, slots=int(slots), wakes="both", arq_poll=0.01)
    await run_worker(order, crew)
    print(crew.ran)


structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
uvloop.run(main(*sys.argv[1:]))
