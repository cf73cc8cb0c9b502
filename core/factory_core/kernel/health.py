"""Liveness and readiness: whether this process runs, and whether what it stands on answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from msgspec import Struct
from redis.asyncio import Redis

from factory_core.contracts.health import HealthReport
from factory_core.errors import FactoryError
from factory_core.kernel.boot import Studio
from factory_core.kernel.database import Database
from factory_core.sandbox import choose_sandbox

PATIENCE_SECONDS = 2.0
Probe = Callable[[], Awaitable[HealthReport]]


class Check(Struct, frozen=True, kw_only=True):
    """The answer of one part. A part that is not ``required`` may fail without stopping the work."""

    name: str
    ok: bool
    required: bool = True
    detail: str = ""


class Health(Struct, frozen=True, kw_only=True):
    """``ok``, ``degraded`` when only what is not required fails, or ``unavailable``."""

    status: str
    checks: tuple[Check, ...] = ()


@get("/health/live", include_in_schema=True, tags=["health"], summary="This process answers")
async def live() -> Health:
    """Always ok: asks nobody."""
    return Health(status="ok")


@get("/health/ready", include_in_schema=True, tags=["health"], summary="What it stands on answers, too")
async def ready(
    studio: NamedDependency[Studio], database: NamedDependency[Database | None]
) -> Response[Health]:
    """503 when something required does not answer."""
    health = await ask_everyone(studio, database, _ask("sandbox", _sandbox, required=False))
    return Response(health, status_code=503 if health.status == "unavailable" else 200)


async def ask_everyone(studio: Studio, database: Database | None, *more: Awaitable[Check]) -> Health:
    """All checks at once: database, queue, those of the plugins, and whatever the caller adds."""
    kernel = [_ask("database", lambda: _database(database), required=True)]
    kernel.append(_ask("queue", lambda: _queue(studio.queue_url()), required=False))
    others = [_ask(check.name, check.check, required=False) for check in studio.health()]
    return _verdict(await asyncio.gather(*kernel, *others, *more))


def _verdict(checks: Sequence[Check]) -> Health:
    failed = [check for check in checks if not check.ok]
    status = "unavailable" if any(c.required for c in failed) else "degraded" if failed else "ok"
    return Health(status=status, checks=tuple(checks))


async def _ask(name: str, probe: Probe, *, required: bool) -> Check:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            report = await probe()
    except TimeoutError:
        report = HealthReport(ok=False, detail=f"no answer within {PATIENCE_SECONDS:g} seconds")
    except Exception as error:  # noqa: BLE001  # whatever a check raises means that it failed
        report = HealthReport(ok=False, detail=f"{type(error).__name__}: {error}")
    return Check(name=name, ok=report.ok, required=required, detail=report.detail)


async def _database(database: Database | None) -> HealthReport:
    if database is None:
        return HealthReport(ok=False, detail="none is configured; set FACTORY_DATABASE_URL")
    await database.ping()
    return HealthReport(ok=True)


async def _sandbox() -> HealthReport:
    """The short probe, tried once per process: the web process runs no code of others, its workers do."""
    try:
        rows = await choose_sandbox().quick_probe()
    except FactoryError as error:
        return HealthReport(ok=False, detail=str(error))
    open_doors = ", ".join(row.name for row in rows if not row.refused)
    if open_doors:
        return HealthReport(ok=False, detail=f"it did not refuse: {open_doors}; see studio doctor")
    return HealthReport(ok=True, detail=f"{len(rows)} of {len(rows)} escapes refused")


async def _queue(url: str | None) -> HealthReport:
    if url is None:
        return HealthReport(ok=True, detail="none is configured; workers poll the database")
    client: Any = Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]  # redis 5 types its options loosely
    try:
        await client.ping()
    finally:
        await client.aclose()
    return HealthReport(ok=True)
