"""Following one build from a terminal: events shown as they come, Ctrl-C asked once, artifacts fetched in the end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import asyncpg
import msgspec

from factory_core.builds.line import is_passing
from factory_core.builds.progress import Progress
from factory_core.builds.service import BuildOrder, BuildService
from factory_core.contracts.events import Event, EventKind
from factory_core.contracts.plan import Quote
from factory_core.errors import DatabaseOutdated
from factory_core.kernel.boot import Studio
from factory_core.kernel.commands.build_ending import Ending, conclude, show_ending
from factory_core.kernel.commands.build_guard import Guard
from factory_core.kernel.commands.build_view import BuildFace, choose_face
from factory_core.kernel.commands.output import open_console
from factory_core.kernel.database import LOCAL_ORGANISATION, DatabaseUnreachable
from factory_core.kernel.office import open_service
from factory_core.kernel.supervisor import Attached
from factory_core.planning import estimate_seconds

__all__ = ["BuildWatch", "Ending"]

LOOK_SECONDS = 0.1
PATIENCE_SECONDS = 60.0
ResultT = TypeVar("ResultT")
_LACKING = (
    asyncpg.InvalidSchemaNameError,
    asyncpg.UndefinedFunctionError,
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
)


class BuildWatch:
    """One command's view of one build."""

    def __init__(self, studio: Studio, attached: Attached, *, as_json: bool) -> None:
        self._studio = studio
        self._guard = Guard(attached, studio.home)
        self._json = as_json
        self._console = open_console(stderr=as_json)
        self._interrupted = asyncio.Event()

    async def order(self, order: BuildOrder) -> UUID:
        """Submit the build and leave."""
        async with open_service(self._studio) as service:
            return (await service.start(LOCAL_ORGANISATION, order)).build

    async def build(self, order: BuildOrder, out: Path) -> Ending:
        """Submit, follow, fetch."""
        async with open_service(self._studio) as service:
            estimate = await service.estimate(LOCAL_ORGANISATION, order)
            started = await service.start(LOCAL_ORGANISATION, order)
            quote = _tell(started.quote)
            remembered = len(estimate.again) < estimate.tasks
            return await self._follow(
                service, started.build, out, f"{quote}; {estimate.told()}" if remembered else quote
            )

    async def attach(self, identity: UUID, out: Path | None) -> Ending:
        """Follow from the first event; fetch into ``out``."""
        async with open_service(self._studio) as service:
            row = await service.get(LOCAL_ORGANISATION, identity)
            folder = out or Path(f"{row.options.get('slug', identity)}-build")
            return await self._follow(service, identity, folder)

    async def _follow(self, service: BuildService, identity: UUID, out: Path, quote: str = "") -> Ending:
        face = choose_face(self._console, as_json=self._json)
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError, ValueError):
            loop.add_signal_handler(signal.SIGINT, self._interrupted.set)
        face.note(f"build {identity}{quote}")
        try:
            progress = await self._watch(service, identity, face)
        finally:
            face.close()
            with suppress(NotImplementedError, ValueError):
                loop.remove_signal_handler(signal.SIGINT)
        ending = await conclude(service, identity, progress, out)
        row = await service.get(LOCAL_ORGANISATION, identity)
        seconds = (row.ended_at - row.created_at).total_seconds() if row.ended_at else 0.0
        if self._json:
            sys.stdout.write(
                msgspec.json.encode({"ending": ending, "seconds": round(seconds, 2)}).decode() + "\n"
            )
        else:
            show_ending(self._console, ending, seconds)
        return ending

    async def _watch(self, service: BuildService, identity: UUID, face: BuildFace) -> Progress:
        progress = Progress()
        while True:
            if self._interrupted.is_set():
                await self._ask(service, identity, face)
            if not progress.tasks:
                plan = await self._patient(partial(service.plan, LOCAL_ORGANISATION, identity), face)
                if plan is not None:
                    progress.learn(plan)
            look = partial(service.events, LOCAL_ORGANISATION, identity, after=progress.seq)
            events = await self._patient(look, face)
            for event in events:
                progress.apply(event)
                face.show(event, progress)
                _tell_of_hold(event, face)
            face.tick(progress)
            if events:
                self._guard.calm()
            elif progress.ended:  # and nothing comes after: a build that failed may have been retried
                return progress
            else:
                await self._guard.look()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._interrupted.wait(), LOOK_SECONDS)

    async def _ask(self, service: BuildService, identity: UUID, face: BuildFace) -> None:
        """Ctrl-C: once is a question, in a pipe it is the answer."""
        self._interrupted.clear()
        face.close()
        cancels = not sys.stdin.isatty() or await asyncio.to_thread(_wants_to_cancel)
        face.reopen()
        if not cancels:
            face.note(f"The build goes on. Leave with Ctrl-\\ and come back: studio builds attach {identity}")
            return
        face.note("cancelling; what is finished stays remembered, so the same command resumes there")
        await service.cancel(LOCAL_ORGANISATION, identity)

    async def _patient(self, action: Callable[[], Awaitable[ResultT]], face: BuildFace) -> ResultT:
        """Bear a database that restarts, and nothing else. Raises DatabaseOutdated, DatabaseUnreachable."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return await action()
            except Exception as error:
                if isinstance(error, _LACKING):
                    raise DatabaseOutdated(f"{error.args[0]}. See: studio migrate status") from error
                if not is_passing(error):
                    raise
                await self._guard.look()
                if time.monotonic() > deadline:
                    raise DatabaseUnreachable(str(error) or type(error).__name__) from error
                face.note("PostgreSQL does not answer; waiting for it")
                await asyncio.sleep(0.5)


def _tell_of_hold(event: Event, face: BuildFace) -> None:
    """A build that stands still says why, and how it goes on."""
    reason = str(event.body.get("reason", ""))
    if event.kind == EventKind.BUILD_PAUSED:
        face.note(f"paused{reason and ': '}{reason}; go on: studio builds resume {event.build}")
    elif event.kind == EventKind.BUILD_HALTED:
        answer = f"studio builds resume {event.build} --decision approve|reject"
        face.note(f"halted by {event.task}: {reason}; decide: {answer}")


def _tell(quote: Quote) -> str:
    seconds = estimate_seconds(quote, cores=os.cpu_count() or 1)
    return (
        f": {quote.tasks} tasks for {quote.agents} agents, about {seconds:.0f} s, ${quote.nano_usd / 1e9:.2f}"
    )


def _wants_to_cancel() -> bool:
    sys.stderr.write("\nCancel the build? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
