"""DBOS Transact: a queue polled every 20 ms, and a workflow of 40 steps. ``dbos_peer.py POSTGRES_URL``; prints JSON."""

import asyncio
import json
import sys
import time

from dbos import DBOS

TASKS = 500
"""In less than two seconds the rounds differ by a factor of two."""
config = {
    "name": "bench",
    "system_database_url": sys.argv[1],
    "log_level": "ERROR",
    "executor_id": "bench",
    "application_version": "1",
}
DBOS(config=config)
ran = 0


@DBOS.step()
async def pause() -> None:
    await asyncio.sleep(0.01)


@DBOS.workflow()
async def chain() -> None:
    for _ in range(40):
        await pause()


@DBOS.step()
async def count() -> int:
    global ran
    ran += 1
    return ran


@DBOS.workflow()
async def one_step() -> int:
    """What a task of a build is: something whose result is kept, so that nothing is done twice."""
    return await count()


@DBOS.workflow()
async def no_step() -> None:
    global ran
    ran += 1


async def through(queue, workflow) -> float:
    """Workflows per second, from the first order to the last result."""
    global ran
    ran = 0
    begin = time.perf_counter()
    handles = [await queue.enqueue_async(workflow) for _ in range(TASKS)]
    await asyncio.gather(*[handle.get_result(polling_interval_sec=0.05) for handle in handles])
    seconds = time.perf_counter() - begin
    assert ran == TASKS, ran
    return TASKS / seconds


async def main():
    await chain()
    begin = time.perf_counter()
    await chain()
    chained = time.perf_counter() - begin
    queue = await DBOS.register_queue_async("tuned", on_conflict="always_update", polling_interval_sec=0.02)
    await asyncio.sleep(1)
    figures = {"throughput": await through(queue, one_step), "no_step": await through(queue, no_step)}
    print(json.dumps({**figures, "chain_ms": chained * 1000}))


DBOS.launch()
asyncio.run(main())
DBOS.destroy()
