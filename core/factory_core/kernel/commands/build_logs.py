"""``studio builds logs``: what happened in a build, event by event, and what a task left."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from uuid import UUID

import msgspec

from factory_core.builds.record import TaskRecord
from factory_core.builds.schemas import ResultRow
from factory_core.builds.service import BuildService
from factory_core.contracts.events import Event
from factory_core.kernel.boot import Studio
from factory_core.kernel.database import LOCAL_ORGANISATION
from factory_core.kernel.office import open_service
from factory_core.plain import plain

__all__ = ["print_logs"]

PAGE = 1000


def print_logs(studio: Studio, identity: UUID, *, task: str, as_json: bool) -> None:
    """All events, or those of ``task`` and what it left. Raises BuildMissing, TaskMissing, ArchiveDamaged."""

    async def show() -> None:
        async with open_service(studio) as service:
            asked = (await service.result(LOCAL_ORGANISATION, identity, task),) if task else ()
            row = await service.get(LOCAL_ORGANISATION, identity)
            async for event in _events(service, identity, row.seq):
                if not task or event.task == task:
                    _write(msgspec.json.encode(event).decode() if as_json else _line(event))
            results = asked or await service.failures(LOCAL_ORGANISATION, identity)
            for result in results:
                _write(_as_json(result) if as_json else _left(result))

    asyncio.run(show())


async def _events(service: BuildService, identity: UUID, last: int) -> AsyncIterator[Event]:
    """Up to the one that was the last when it began."""
    after = 0
    while after < last:
        page = await service.events(LOCAL_ORGANISATION, identity, after=after, limit=min(PAGE, last - after))
        for event in page:
            yield event
        after = page[-1].seq if page else last


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")


def _line(event: Event) -> str:
    """Its number, time (UTC), kind, task and what else it tells, on one line."""
    body = dict(event.body)
    told = [str(body.pop("reason")).splitlines()[0]] if body.get("reason") else []
    told += [f"{name}={value}" for name, value in body.items()]
    fence = f"attempt {event.fence}" if event.fence else ""
    words = (
        f"{event.seq:6}",
        f"{event.at:%H:%M:%S.%f}"[:-3],
        f"{event.kind:16}",
        event.task or "",
        fence,
        *told,
    )
    return "  ".join(plain(word) for word in words if word)


def _left(row: ResultRow) -> str:
    """What a task left, for a person."""
    record = TaskRecord.of_row(row.id, row.result)
    lines = ["", f"{row.id} ({row.agent}) is {row.state.value}" + (f": {row.reason}" if row.reason else "")]
    lines += [f"  made {ref.path}" for ref in record.files]
    for gate in record.gates:
        lines.append(
            f"  {'passed' if gate.passed else 'FAILED'}  {gate.name}: {gate.figure} (limit {gate.limit})"
        )
        lines += [f"    {line}" for line in gate.detail.splitlines()]
    lines += [f"  {finding.level}: {finding.message}" for finding in record.findings]
    return "\n".join(plain(line) for line in lines)


def _as_json(row: ResultRow) -> str:
    told = {
        "task": row.id,
        "agent": row.agent,
        "state": row.state,
        "reason": row.reason,
        "result": row.result,
    }
    return msgspec.json.encode(told).decode()
