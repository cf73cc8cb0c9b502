"""Bare arq, tuned: 100 slots, 10 ms poll, no results, uvloop. ``arq_peer.py REDIS_URL``; prints one JSON object.

``arq_peer.py REDIS_URL work``: one of several worker processes; it waits for a line, empties the queue, prints its count."""

import asyncio
import json
import random
import sys
import time

import uvloop
from arq import Worker, create_pool
from arq.connections import RedisSettings
from arq.worker import func

URL = sys.argv[1]
TASKS = 4000
ran = held = 0
starts: list[float] = []
done = asyncio.Event()
expected = 0


async def noop(ctx):
    global ran
    ran += 1
    if ran == expected:
        done.set()


async def link(ctx, left):
    await asyncio.sleep(0.01)
    if left > 1:
        await ctx["redis"].enqueue_job("link", left - 1)
    else:
        done.set()


async def root(ctx):
    for _ in range(200):
        await ctx["redis"].enqueue_job("noop")


async def probe(ctx, sent):
    starts.append(time.perf_counter() - sent)


async def hold(ctx):
    global held
    held += 1
    await asyncio.sleep(60)
    held -= 1


async def worker(*, flush=True, **more):
    pool = await create_pool(RedisSettings.from_dsn(URL))
    if flush:
        await pool.flushdb()
    functions = [func(f, name=f.__name__) for f in (noop, link, root, probe, hold)]
    options = {"max_jobs": 100, "poll_delay": 0.01, "keep_result": 0, "log_results": False, **more}
    return pool, Worker(functions, redis_pool=pool, handle_signals=False, **options)


async def throughput():
    global ran
    ran = 0
    pool, arq = await worker(burst=True)
    await asyncio.gather(*(pool.enqueue_job("noop") for _ in range(TASKS)))
    begin = time.perf_counter()
    await arq.async_run()
    seconds = time.perf_counter() - begin
    assert ran == TASKS, ran
    return TASKS / seconds


async def work():
    _, arq = await worker(flush=False, burst=True)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await arq.async_run()
    print(ran, flush=True)


async def several(processes):
    tasks = 1000 * processes
    pool, _ = await worker()
    await asyncio.gather(*(pool.enqueue_job("noop") for _ in range(tasks)))
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    crews = [
        await asyncio.create_subprocess_exec(sys.executable, __file__, URL, "work", **pipes)
        for _ in range(processes)
    ]
    for crew in crews:
        await crew.stdout.readline()
    begin = time.perf_counter()
    for crew in crews:
        crew.stdin.write(b"go\n")
    counts = [int(await crew.stdout.readline()) for crew in crews]
    seconds = time.perf_counter() - begin
    for crew in crews:
        await crew.communicate()
    assert sum(counts) >= tasks, counts  # arq may run a job twice, never less than once
    return tasks / seconds


async def until_done(first, *arguments, count=0):
    global ran, expected
    ran, expected = 0, count
    done.clear()
    pool, arq = await worker(max_jobs=300)
    task = asyncio.create_task(arq.async_run())
    await asyncio.sleep(0.2)
    begin = time.perf_counter()
    await pool.enqueue_job(first, *arguments)
    await asyncio.wait_for(done.wait(), 60)
    seconds = time.perf_counter() - begin
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return seconds * 1000


async def latency(holding):
    global held
    held = 0
    starts.clear()
    pool, arq = await worker(max_jobs=500, queue_read_limit=2000)
    task = asyncio.create_task(arq.async_run())
    for _ in range(holding):
        await pool.enqueue_job("hold")
    await asyncio.sleep(0.5 + holding / 400)
    assert held == holding, held
    for _ in range(40):
        await asyncio.sleep(random.random() * 0.05)
        await pool.enqueue_job("probe", time.perf_counter())
    await asyncio.sleep(1)
    assert (len(starts), held) == (40, holding), (len(starts), held)
    for running in arq.tasks.values():
        running.cancel()
    task.cancel()
    await asyncio.gather(task, *arq.tasks.values(), return_exceptions=True)
    return sorted(starts)[37] * 1000


async def main():
    print(
        json.dumps(
            {
                "throughput": await throughput(),
                "throughput_2": await several(2),
                "throughput_4": await several(4),
                "chain_ms": await until_done("link", 40),
                "fan_ms": await until_done("root", count=200),
                "start_p95_ms": await latency(0),
                "start_busy_p95_ms": await latency(400),
            }
        )
    )


uvloop.run(work() if sys.argv[2:] else main())
