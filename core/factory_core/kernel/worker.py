"""The worker process: one build loop, and arq for wake-ups and ordinary jobs. With ``queue.py`` all that knows arq."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal
from uuid import UUID

import msgspec
import structlog
from arq.worker import Function, Retry, Worker, func
from msgspec import Struct
from redis.exceptions import RedisError

from factory_core.builds.crashpoints import CrashPoints
from factory_core.builds.crew import Runner
from factory_core.builds.loop import BuildLoop, Pace, connect_to
from factory_core.builds.wake import Wake, listen
from factory_core.contracts.jobs import Job
from factory_core.kernel.queue import WAKE_QUEUE, Queue, arq_client, queue_name

__all__ = ["WorkerOrder", "run_worker"]

_log = structlog.get_logger(__name__)


class WorkerOrder(Struct, frozen=True, kw_only=True):
    """What a worker process needs to know."""

    database_url: str
    queue_url: str | None = None
    """None: no Redis at all; the loop polls and ordinary jobs wait."""
    slots: int = 8
    name: str = "worker"
    statement_cache: int = 100
    job_slots: int = 10
    wakes: Literal["list", "arq", "both"] = "both"
    arq_poll: float = 0.1
    """How often arq looks at its queues; the list wakes at once, so this need not be fast."""
    pace: Pace = Pace()
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
    builds = BuildLoop(
        connect_to(order.database_url, statement_cache=order.statement_cache),
        runner,
        slots=order.slots,
        name=order.name,
        wake=wake,
        pace=order.pace,
        tell=queue.tell,
        crash=crash or CrashPoints(order.crashpoint),
    )
    with suppress(NotImplementedError, ValueError, RuntimeError):  # only the main thread may
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    beside = [asyncio.create_task(work) for work in _listeners(order, wake, jobs)]
    main, stopped = asyncio.create_task(builds.run()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((main, stopped), return_when=asyncio.FIRST_COMPLETED)
        builds.stop()
        # Without a database the loop cannot say goodbye; the reaper will.
        await asyncio.wait((main,), timeout=order.pace.grace * 2)
    finally:
        for task in (main, stopped, *beside):
            task.cancel()
        await asyncio.gather(main, stopped, *beside, return_exceptions=True)
        await queue.close()
    if not main.cancelled() and (error := main.exception()):
        raise error


def _listeners(order: WorkerOrder, wake: Wake, jobs: Sequence[Job]) -> list[Any]:
    url = order.queue_url
    if url is None:
        return []
    listeners: list[Any] = []
    if order.wakes != "arq":
        listeners.append(listen(url, wake))
    if order.wakes != "list":
        listeners.append(_serve(url, WAKE_QUEUE, [_waking(wake)], order))
    for queue in sorted({job.queue for job in jobs}):
        functions = [_function(job) for job in jobs if job.queue == queue]
        listeners.append(_serve(url, queue_name(queue), functions, order))
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
            max_tries=1000,  # each job has its own
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


def _function(job: Job) -> Function:
    """arq retries only who asks for it."""

    async def run(ctx: dict[Any, Any], **payload: Any) -> None:
        try:
            await job.run(**payload)
        except Exception as error:
            if ctx["job_try"] >= job.attempts:
                raise
            _log.warning("job failed, trying again", job=job.name, attempt=ctx["job_try"], error=repr(error))
            raise Retry(defer=min(2.0 ** ctx["job_try"], 300.0)) from error

    return func(run, name=job.name, timeout=job.timeout_seconds, max_tries=job.attempts, keep_result=0)
