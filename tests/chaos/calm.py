"""What can only be judged while nothing else goes wrong: news that come in time, processes that end when told."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import UUID

import plans
from clients import Clients
from cluster import Cluster

from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Journal, Submission
from factory_core.builds.tools import Blobs
from factory_core.kernel.database import LOCAL_ORGANISATION
from factory_core.kernel.queue import EVENTS_CHANNEL, Queue
from factory_core.sandbox.probe import find_processes
from factory_plugin_storage.service import LocalStorage

SECONDS = 20.0


async def told_in_time(cluster: Cluster) -> list[str]:
    """Who reads only when told has everything in the end: news never run ahead of the commit. (A-5)

    Lines are slow meanwhile, so that a worker that speaks too early is always caught."""
    for worker in cluster.workers:
        worker.wire.delay = 0.05
    client, connection = cluster.redis(), await cluster.connect()
    try:
        async with client.pubsub() as listener:
            await listener.subscribe(EVENTS_CHANNEL)
            return [found for n in range(3) for found in await _follow_news(cluster, connection, listener, n)]
    finally:
        await client.aclose()
        await connection.close()
        for worker in cluster.workers:
            worker.wire.heal()


async def submit(cluster: Cluster, connection: Any, name: str) -> UUID:
    """A build past the web."""
    spec = await Blobs(LocalStorage(cluster.disk / "objects")).put(plans.spec(name).encode())
    order = Submission(
        org=LOCAL_ORGANISATION, idem_key=f"{name} {uuid7()}", spec_digest="", params={"spec": spec}
    )
    await Journal(connection).found(LOCAL_ORGANISATION, "local")
    build = (await Journal(connection).submit(order)).build
    queue = Queue(cluster.queue_url)
    await queue.wake(build)
    await queue.close()
    return build


async def _follow_news(cluster: Cluster, connection: Any, listener: Any, number: int) -> list[str]:
    journal = Journal(connection)
    build = await submit(cluster, connection, f"dag {number}")
    last = 0
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        message = await listener.get_message(ignore_subscribe_messages=True, timeout=0.5)
        if message and message["data"] == build.bytes:
            events = await journal.events(LOCAL_ORGANISATION, build, after=last)
            last = events[-1].seq if events else last
            if events and events[-1].kind == "build.ended":
                return []
        row = await journal.build(LOCAL_ORGANISATION, build)
        if message is None and row.ended_at is not None:
            return [f"A-5 who reads when told has {last} of {row.seq} events of build {build}"]
    return [f"A-8 build {build} did not end in {SECONDS:.0f} s, though nothing was wrong"]


async def cancelled_process_ends(cluster: Cluster, clients: Clients, figures: dict[str, float]) -> list[str]:
    """A process in the sandbox ends within a beat and the grace of its build's cancelling. (A-11)"""
    mark = f"{600 + cluster.seed % 100}.{int(time.monotonic() * 1000) % 10_000}5"
    build = await clients.order(f"hold {mark}", f"hold {mark}")
    began = time.monotonic()
    while len(find_processes(mark)) < 2:
        if time.monotonic() - began > SECONDS:
            return [f"A-8 the process of build {build} did not start in {SECONDS:.0f} s"]
        await asyncio.sleep(0.05)
    await clients.ask("POST", f"builds/{build}/cancel")
    began = time.monotonic()
    bound = cluster.pace["poll"] + cluster.pace["check"] + cluster.pace["grace"]
    while find_processes(mark):
        if time.monotonic() - began > SECONDS:
            return [f"A-11 a process of build {build} runs {SECONDS:.0f} s after it was cancelled"]
        await asyncio.sleep(0.02)
    figures["cancelled.process.seconds"] = time.monotonic() - began
    await clients.follow(build)
    figures["cancelled.process.bound"] = bound
    return []
