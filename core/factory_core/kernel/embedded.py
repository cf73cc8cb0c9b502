"""The embedded default of a home: its servers, its migrations and one worker, under one supervisor."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import asyncpg

from factory_core.kernel.boot import Studio, start
from factory_core.kernel.migrate import migrate
from factory_core.kernel.supervisor import Attached, Supervision, SupervisorSpec, ensure_running
from factory_core.kernel.supervisor_children import ChildProcess

__all__ = ["attach", "supervision"]

_ANY_OPEN = """
    select exists (
        select from build b where open and (
            state not in ('paused', 'halted')
            or exists (select from task t where t.build_id = b.id and t.state = 'running')))"""
"""Whether there is work. A build that waits for a person needs no servers meanwhile."""


def attach(studio: Studio) -> Attached:
    """Keep servers and a worker running while this process is attached. Raises SupervisorFailed."""
    return ensure_running(studio.home, SupervisorSpec(load="factory_core.kernel.embedded:supervision"))


def supervision(home: Path) -> Supervision:
    """What the supervisor of ``home`` runs; called in the supervisor's own process."""
    studio = start()
    if studio.home.resolve() != home.resolve():
        raise RuntimeError(f"The supervisor of {home} was started with the settings of {studio.home}.")
    servers = tuple(
        source for source in (studio.database_source(), studio.queue_source()) if source is not None
    )
    worker = ChildProcess(
        name="worker", command=(sys.executable, "-P", "-m", "factory_core.kernel.cli", "worker")
    )
    return Supervision(
        servers=servers,
        prepare=lambda: asyncio.run(migrate(studio)),
        processes=(worker,),
        busy=lambda: asyncio.run(_has_open_builds(studio.database_url())),
        idle_seconds=studio.settings.idle_seconds,
    )


async def _has_open_builds(url: str) -> bool:
    library: Any = asyncpg
    connection: Any = await library.connect(url, timeout=2)
    try:
        return bool(await connection.fetchval(_ANY_OPEN))
    finally:
        await connection.close()
