"""What a worker process does: it puts agents, templates, sandbox and storage together and takes work."""

from __future__ import annotations

import asyncio
import os
import platform
from functools import partial

import structlog

from factory_core.builds.boards import TaskBoard
from factory_core.builds.crashpoints import CrashPoints
from factory_core.builds.delivery import Delivery
from factory_core.builds.journal import Assignment, Journal
from factory_core.builds.pieces import Pieces
from factory_core.builds.runner import BuildRunner, Workshop
from factory_core.builds.tools import Blobs, BuildTools
from factory_core.builds.workspaces import Workspaces
from factory_core.contracts.agent import Tools
from factory_core.contracts.template import TemplatePackage
from factory_core.kernel.boot import Studio
from factory_core.kernel.database import open_database
from factory_core.kernel.hostuse import HostUse
from factory_core.kernel.office import installed_templates
from factory_core.kernel.queue import open_queue
from factory_core.kernel.upkeep import Upkeep
from factory_core.kernel.version import VERSION
from factory_core.kernel.watchdog import watch_loop
from factory_core.kernel.worker import WorkerOrder, run_worker
from factory_core.planning import StudioPlanner
from factory_core.sandbox import choose_sandbox, prepare
from factory_core.sandbox.throttle import Throttle
from factory_core.sandbox.turns import TakingTurns
from factory_core.settings import KernelSettings

__all__ = ["work", "worker_address"]

DIRECT_STATEMENTS = 100
"""Prepared statements kept on a direct address, whatever the pooled one allows."""

_log = structlog.get_logger(__name__)


class ToolRoom:
    """Lends tools to tasks: one sandbox for the whole process, one toolchain per template."""

    def __init__(self, studio: Studio, blobs: Blobs, journal: Journal) -> None:
        self._journal = journal
        self._home = studio.home
        self._recent = blobs.recent
        self._cores = studio.settings.cores or os.cpu_count() or 1
        self._sandbox: TakingTurns | None = None

    async def lend(self, assignment: Assignment, template: TemplatePackage, pieces: Pieces) -> Tools:
        """Raises SandboxUnavailable or ToolchainMissing: then nothing generated is run."""
        if self._sandbox is None:
            self._sandbox = TakingTurns(choose_sandbox(), self._cores)
        log = _log.bind(build=str(assignment.build), task=assignment.task)

        async def write(message: str, level: str) -> None:
            await getattr(log, f"a{level}")(message)

        lock = template.root / template.manifest.toolchain.lock
        toolchain = await prepare(lock, self._home, log.info)
        return BuildTools(
            blobs=self._recent,
            sandbox=self._sandbox,
            toolchain=toolchain,
            home=self._home,
            log=write,
            pieces=pieces,
            board=TaskBoard(self._journal.boards, assignment),
            shares=partial(self._journal.shares.of_hosts, assignment.org, assignment.build),
        )


def worker_address(settings: KernelSettings, url: str) -> tuple[str, int]:
    """Where a worker's own connections go, past the pooler if there is a way, and how many statements they keep."""
    direct = settings.database_direct_url
    return (direct.reveal(), DIRECT_STATEMENTS) if direct else (url, settings.database_statement_cache)


async def work(studio: Studio) -> None:
    """Run builds and background jobs until SIGTERM. Raises DatabaseUnreachable."""
    settings = studio.settings
    blobs = Blobs(studio.storage())
    crash = CrashPoints(settings.crash_point)
    async with open_queue(studio), open_database(studio.database_url(), settings) as database:
        journal = Journal(database.pool)
        workspaces = Workspaces(studio.home)
        workshop = Workshop(
            agents=studio.agents(),
            templates=installed_templates(studio),
            planner=StudioPlanner(studio.planners()),
            delivery=Delivery(journal, blobs, studio.storage(), {"studio": VERSION}),
            workspaces=workspaces,
            make_tools=ToolRoom(studio, blobs, journal).lend,
        )
        address, statements = worker_address(settings, studio.database_url())
        order = WorkerOrder(
            database_url=address,
            queue_url=studio.queue_url(),
            slots=settings.worker_slots,
            reserved=settings.worker_reserved,
            name=f"{platform.node()}:{os.getpid()}",
            statement_cache=statements,
        )
        beside = [
            asyncio.create_task(
                Upkeep(
                    database.pool,
                    studio.storage(),
                    settings,
                    partial(workspaces.sweep, journal.running),
                    crash,
                ).run()
            ),
            asyncio.create_task(HostUse(journal).run()),
            asyncio.create_task(Throttle.run()),
            asyncio.create_task(watch_loop()),
        ]
        try:
            await run_worker(order, BuildRunner(journal, blobs, workshop, crash), studio.jobs(), crash=crash)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
