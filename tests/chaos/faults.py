"""What is done to a studio, and how each blow heals."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from pathlib import Path
from uuid import uuid4

from cluster import DISK_MIB, Cluster, Member
from redis.exceptions import RedisError

from factory_core.builds.wake import WAKE_LIST
from factory_core.kernel.queue import Queue

Blow = Callable[["Faults"], Awaitable[None]]


class Faults:
    """Strikes as the seed says: which blow comes when, on whom, and for how long."""

    def __init__(self, cluster: Cluster, seed: int, builds: Callable[[], list[str]]) -> None:
        self.cluster = cluster
        self.builds = builds
        self.done: Counter[str] = Counter()
        self._seed = seed
        self.rng = random.Random(f"faults {seed}")

    def schedule(self, count: int, kinds: Sequence[str] = ()) -> list[str]:
        """Each kind as often as its weight says, each at least once when there is room."""
        kinds = list(kinds or BLOWS)
        rest = self.rng.choices(kinds, [BLOWS[kind][0] for kind in kinds], k=max(0, count - len(kinds)))
        chosen = (kinds + rest)[:count] if count >= len(kinds) else self.rng.sample(kinds, count)
        self.rng.shuffle(chosen)
        return chosen

    async def strike(self, number: int, kind: str) -> None:
        """One blow, until it is healed. Each has dice of its own, since several are under way at once."""
        own = copy(self)
        own.rng = random.Random(f"{self._seed} {number} {kind}")
        await BLOWS[kind][1](own)
        self.done[kind] += 1

    async def someone(self) -> Member:
        """A worker nothing is being done to; the last one is left to work."""
        while True:
            free = [worker for worker in self.cluster.workers if not worker.busy]
            if len(free) > 1 or (free and len(self.cluster.workers) == 1):
                chosen = self.rng.choice(free)
                chosen.busy = True
                return chosen
            await asyncio.sleep(0.05)

    def seconds(self, least: float, most: float) -> float:
        return self.rng.uniform(least, most)


async def kill_worker(faults: Faults) -> None:
    worker = await faults.someone()
    await worker.kill()
    await asyncio.sleep(faults.seconds(0, 1.0))
    await worker.start()
    worker.busy = False


async def stop_worker(faults: Faults) -> None:
    """Asleep past its lease, then awake with answers nobody wants any more."""
    worker = await faults.someone()
    worker.signal(signal.SIGSTOP)
    await asyncio.sleep(faults.cluster.pace["ttl"] + faults.seconds(0.3, 1.5))
    worker.signal(signal.SIGCONT)
    worker.busy = False


async def isolate_worker(faults: Faults) -> None:
    """Alive and without a database past its lease; what it said meanwhile arrives late."""
    worker = await faults.someone()
    worker.wire.silence()
    await asyncio.sleep(faults.cluster.pace["ttl"] + faults.seconds(0.3, 1.5))
    worker.wire.heal()
    worker.busy = False


async def cut_commit(faults: Faults) -> None:
    """The statement arrives, the answer does not: mostly of a worker, at times of the web."""
    cluster = faults.cluster
    wire = cluster.web.wire if faults.rng.random() < 0.2 else faults.rng.choice(cluster.workers).wire
    wire.swallow = faults.rng.random() < 0.7
    wire.cuts += faults.rng.randint(1, 3)
    await asyncio.sleep(0.3)


async def slow_line(faults: Faults) -> None:
    worker = await faults.someone()
    worker.wire.delay = faults.seconds(0.05, 0.2)
    await asyncio.sleep(1)
    worker.wire.heal()
    worker.busy = False


async def turn_clock(faults: Faults) -> None:
    """Back again with a wall clock ten minutes off, the web at times, too."""
    web = faults.rng.random() < 0.25
    member = faults.cluster.web if web else await faults.someone()
    if web and member.busy:
        return
    member.busy = True
    await member.kill()
    member.skew = faults.rng.choice((600.0, -600.0))
    await member.start()
    if web:
        await faults.cluster.answering()
    member.busy = False


async def kill_web(faults: Faults) -> None:
    web = faults.cluster.web
    if web.busy:
        return
    web.busy = True
    await web.kill()
    await asyncio.sleep(faults.seconds(0, 0.5))
    await web.start()
    await faults.cluster.answering()
    web.busy = False


async def stop_web(faults: Faults) -> None:
    web = faults.cluster.web
    if web.busy:
        return
    web.busy = True
    web.signal(signal.SIGSTOP)
    await asyncio.sleep(faults.seconds(0.5, 2.5))
    web.signal(signal.SIGCONT)
    web.busy = False


async def flush_queue(faults: Faults) -> None:
    async with faults.cluster.queue_up:
        client = faults.cluster.redis()
        await client.flushall()
        await client.aclose()


async def restart_queue(faults: Faults) -> None:
    cluster = faults.cluster
    async with cluster.queue_up:
        os.kill(_pid(cluster.home, "valkey.pid"), signal.SIGKILL)
        await asyncio.sleep(faults.seconds(0, 1.5))
        await asyncio.to_thread(cluster.queue.start, cluster.home)


async def fill_queue(faults: Faults) -> None:
    """No room for a single reminder."""
    async with faults.cluster.queue_up:
        client = faults.cluster.redis()
        await client.config_set("maxmemory-policy", "noeviction")
        await client.config_set("maxmemory", "1mb")
        try:
            for number in range(64):
                await client.set(f"ballast:{number}", bytes(1 << 16))
        except RedisError:
            pass  # full
        await asyncio.sleep(faults.seconds(0.5, 2))
        await client.config_set("maxmemory", "256mb")
        await client.delete(*(f"ballast:{number}" for number in range(64)))
        await client.aclose()


async def stop_database(faults: Faults) -> None:
    """Immediate: nothing is flushed, the log is replayed at the next start."""
    cluster = faults.cluster
    async with cluster.database_up:
        os.kill(_pid(cluster.home, "postmaster.pid"), signal.SIGQUIT)
        while await asyncio.to_thread(cluster.database.alive, cluster.home):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
        await asyncio.sleep(faults.seconds(0, 1))
        await asyncio.to_thread(cluster.database.start, cluster.home)


async def call_twice(faults: Faults) -> None:
    """Reminders of builds that run, that ended and that never were, several times over."""
    queue = Queue(faults.cluster.queue_url)
    client = faults.cluster.redis()
    try:
        for build in [*faults.builds()[-20:], uuid4().hex] * 2:
            await client.rpush(WAKE_LIST, bytes.fromhex(build.replace("-", "")))
            await client.rpush(WAKE_LIST, b"garbage")
            await queue.wake(None)
    except (RedisError, OSError):
        pass  # another fault has the queue
    finally:
        await queue.close()
        await client.aclose()


async def fill_disk(faults: Faults) -> None:
    """Not a byte left where files are stored."""
    disk, ballast = faults.cluster.disk, faults.cluster.disk / f"ballast-{uuid4().hex}"
    if not faults.cluster.mounted:
        disk.chmod(0o500)  # an ordinary user cannot mount; nothing can be stored either
        await asyncio.sleep(faults.seconds(*FULL_SECONDS))
        disk.chmod(0o700)
        return
    await asyncio.to_thread(_fill, ballast)
    await asyncio.sleep(faults.seconds(*FULL_SECONDS))
    ballast.unlink()


FULL_SECONDS = (0.3, 1.2)


def _fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        size = 1 << 20
        written = 0
        while size and written <= DISK_MIB << 20:
            try:
                written += file.write(bytes(size))
            except OSError:
                size //= 2


def _pid(home: Path, name: str) -> int:
    return int(next(home.rglob(name)).read_text().split()[0])


BLOWS: dict[str, tuple[int, Blow]] = {
    "worker killed": (5, kill_worker),
    "worker stopped": (6, stop_worker),
    "worker isolated": (3, isolate_worker),
    "answer cut off": (5, cut_commit),
    "slow line": (1, slow_line),
    "clock off": (2, turn_clock),
    "web killed": (1, kill_web),
    "web stopped": (1, stop_web),
    "queue flushed": (3, flush_queue),
    "queue restarted": (2, restart_queue),
    "queue full": (2, fill_queue),
    "database stopped": (2, stop_database),
    "called twice": (3, call_twice),
    "disk full": (2, fill_disk),
}
