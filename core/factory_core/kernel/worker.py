"""The worker process: one loop for builds, one for ordinary jobs. With ``queue.py`` all that knows arq: it reminds."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal
from uuid import UUID

import msgspec
import structlog
from arq.worker import Function, Worker, func
from msgspec import Struct
from redis.exceptions import RedisError

from factory_core.builds.crashpoints import CrashPoints
from factory_core.builds.crew import Runner
from factory_core.builds.loop import BuildLoop, Pace, connect_to
from factory_core.builds.wake import Wake, listen
from factory_core.contracts.jobs import Job
from factory_core.kernel.jobs import JobLoop, JobPace
from factory_core.kernel.queue import RING, WAKE_QUEUE, Queue, arq_client, queue_name

__all__ = ["WorkerOrder", "run_worker"]

_log = structlog.get_logger(__name__)


class WorkerOrder(Struct, frozen=True, kw_only=True):
    """What a worker process needs to know."""

    database_url: str
    queue_url: str | None = None
    """None: no Redis at all; both loops poll."""
    slots: int = 8
    reserved: int = 0
    """Slots that only organisations with ``reserved`` may take."""
    name: str = "worker"
    statement_cache: int = 100
    job_slots: int = 10
    wakes: Literal["list", "arq", "both"] = "both"
    arq_poll: float = 0.1
    """How often arq looks at its queues; the list wakes at once, so this need not be fast."""
    pace: Pace = Pace()
    job_pace: JobPace = JobPace()
    crashpoint: str = ""


async def run_worker(
    order: WorkerOrder,
    runner: Runner,
    jobs: Sequence[Job] = (),
    *,
    stop: asyncio.Event | None = None,
    crash: CrashPoints | None = None,
) -> None:
    """Work until ``stop`` is set or SIGTERM or SIGINT arrives, then give back what is not finished."""
    stop = stop or asyncio.Event()
    wake, queue = Wake(), Queue(order.queue_url)
    connect = connect_to(order.database_url, statement_cache=order.statement_cache)
    office = JobLoop(connect, jobs, slots=order.job_slots, pace=order.job_pace)
    builds = BuildLoop(
        connect,
        runner,
        slots=order.slots,
        reserved=order.reserved,
        name=order.name,
        wake=wake,
        pace=order.pace,
        tell=queue.tell,
        crash=crash or CrashPoints(order.crashpoint),
    )
    with suppress(NotImplementedError, ValueError, RuntimeError):  # only the main thread may
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    beside = [asyncio.create_task(work) for work in _listeners(order, wake, office, jobs)]
    main, stopped = asyncio.create_task(builds.run()), asyncio.create_task(stop.wait())
    other = asyncio.create_task(office.run() if jobs else stop.wait())
    try:
        await asyncio.wait((main, stopped), return_when=asyncio.FIRST_COMPLETED)
        builds.stop()
        office.stop()
        # Without a database the loops cannot say goodbye; leases end.
        await asyncio.wait((main, other), timeout=order.pace.grace * 2)
    finally:
        for task in (main, other, stopped, *beside):
            task.cancel()
        await asyncio.gather(main, other, stopped, *beside, return_exceptions=True)
        await queue.close()
    if not main.cancelled() and (error := main.exception()):
        raise error


def _listeners(order: WorkerOrder, wake: Wake, office: JobLoop, jobs: Sequence[Job]) -> list[Any]:
    url = order.queue_url
    if url is None:
        return []
    listeners: list[Any] = []
    if order.wakes != "arq":
        listeners.append(listen(url, wake))
    if order.wakes != "list":
        listeners.append(_serve(url, WAKE_QUEUE, [_waking(wake)], order))
    queues = sorted({job.queue for job in jobs})
    listeners += [_serve(url, queue_name(queue), [_ringing(office)], order) for queue in queues]
    return listeners


async def _serve(url: str, queue: str, functions: Sequence[Function], order: WorkerOrder) -> None:
    """arq's worker leaves when Redis blinks; start it again, for ever."""
    while True:
        worker = Worker(
            functions,
            queue_name=queue,
            redis_pool=arq_client(url),
            job_serializer=msgspec.msgpack.encode,
            job_deserializer=msgspec.msgpack.decode,
            handle_signals=False,
            keep_result=0,
            max_jobs=order.job_slots,
            poll_delay=order.arq_poll,
            log_results=False,
        )
        try:
            await worker.async_run()
        except (RedisError, OSError) as error:
            _log.info("arq lost Redis", queue=queue, error=repr(error))
        finally:
            with suppress(RedisError, OSError, asyncio.CancelledError):
                await worker.close()
        await asyncio.sleep(1)


def _waking(wake: Wake) -> Function:
    async def run(ctx: dict[Any, Any], build: str) -> None:
        del ctx
        wake.kick(UUID(hex=build) if build else None)

    return func(run, name="wake", keep_result=0)


def _ringing(office: JobLoop) -> Function:
    async def run(ctx: dict[Any, Any], job: str) -> None:
        del ctx, job  # whichever is due longest comes first
        office.kick()

    return func(run, name=RING, keep_result=0)
