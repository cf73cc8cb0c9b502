"""procrastinate, 20 slots. ``procrastinate_peer.py POSTGRES_URL``; prints one JSON object."""

import asyncio
import json
import random
import sys
import time

from procrastinate import App, PsycopgConnector

TASKS = 800
app = App(connector=PsycopgConnector(conninfo=sys.argv[1], min_size=4, max_size=20))
ran = 0
starts: list[float] = []
done = asyncio.Event()


@app.task(name="noop")
async def noop():
    global ran
    ran += 1


@app.task(name="link")
async def link(left):
    await asyncio.sleep(0.01)
    if left > 1:
        await link.defer_async(left=left - 1)
    else:
        done.set()


@app.task(name="probe")
async def probe(sent):
    starts.append(time.perf_counter() - sent)


async def main():
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for _ in range(TASKS):
            await noop.defer_async()
        begin = time.perf_counter()
        await app.run_worker_async(wait=False, concurrency=20, install_signal_handlers=False)
        seconds = time.perf_counter() - begin
        assert ran == TASKS, ran
        worker = asyncio.create_task(app.run_worker_async(concurrency=20, install_signal_handlers=False))
        await asyncio.sleep(0.5)
        begin = time.perf_counter()
        await link.defer_async(left=40)
        await asyncio.wait_for(done.wait(), 60)
        chain = time.perf_counter() - begin
        for _ in range(40):
            await asyncio.sleep(random.random() * 0.05)
            await probe.defer_async(sent=time.perf_counter())
        await asyncio.sleep(1)
        assert len(starts) == 40, len(starts)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    print(
        json.dumps(
            {
                "throughput": TASKS / seconds,
                "chain_ms": chain * 1000,
                "start_p95_ms": sorted(starts)[37] * 1000,
            }
        )
    )


asyncio.run(main())
