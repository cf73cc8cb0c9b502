"""``studio serve`` and ``studio worker``: the processes of a running studio."""

# pyright: reportUnknownMemberType=false
# rich-click types the parameters of its decorators loosely.

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import rich_click as click

if TYPE_CHECKING:
    from factory_core.kernel.boot import Studio


@click.command()
@click.option("--host", help="Address to listen on, instead of FACTORY_HOST.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on, instead of FACTORY_PORT.")
@click.option(
    "--no-worker",
    is_flag=True,
    help="Serve the web only; 'studio worker' runs elsewhere. Embedded servers bring their own.",
)
def serve(host: str | None, port: int | None, no_worker: bool) -> None:
    """Serve the API and run builds until stopped."""
    from contextlib import nullcontext

    from factory_core.kernel.boot import start
    from factory_core.kernel.embedded import attach
    from factory_core.kernel.logs import configure_logging
    from factory_core.kernel.migrate import migrate, note_failed_migrations

    studio = start()
    configure_logging(studio.settings)
    own = bool(studio.database_source() or studio.queue_source())
    with attach(studio) if own or not no_worker else nullcontext():
        asyncio.run(note_failed_migrations(studio) if own else migrate(studio))
        _warn(studio)
        _serve_web(studio, host or studio.settings.host, port or studio.settings.port)


@click.command()
def worker() -> None:
    """Run builds and background jobs on servers that run, until stopped."""
    import uvloop

    from factory_core.kernel.boot import start
    from factory_core.kernel.logs import configure_logging
    from factory_core.kernel.migrate import note_failed_migrations
    from factory_core.kernel.work import work

    studio = start()
    configure_logging(studio.settings)
    asyncio.run(note_failed_migrations(studio))
    uvloop.run(work(studio))


def _warn(studio: Studio) -> None:
    for report in studio.reports():
        if not report.on:
            click.secho(f"note: plugin {report.name} is off: {report.cause}", fg="yellow", err=True)
    for warning in studio.warnings():
        click.secho(f"note: {warning}", fg="yellow", err=True)


def _serve_web(studio: Studio, host: str, port: int) -> None:
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    click.echo(
        f"Factory Studio answers at http://{host}:{port} (documentation: /api/docs). Ctrl-C stops it.",
        err=True,
    )
    Granian(
        "factory_core.kernel.app:serve_app",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        workers=studio.settings.web_workers,
        respawn_failed_workers=True,
        workers_kill_timeout=10,
        websockets=True,
        log_access=False,
        log_level=LogLevels.warning,
    ).serve()
