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
@click.option("--no-worker", is_flag=True, help="Serve the web only; run 'studio worker' elsewhere.")
def serve(host: str | None, port: int | None, no_worker: bool) -> None:
    """Serve the API and run builds until stopped."""
    from contextlib import ExitStack

    from factory_core.kernel.boot import start
    from factory_core.kernel.logs import configure_logging
    from factory_core.kernel.migrate import migrate
    from factory_core.kernel.servers import servers_running, worker_running

    studio = start()
    configure_logging(studio.settings)
    with ExitStack() as stack:
        stack.enter_context(servers_running(studio))
        asyncio.run(migrate(studio))
        _warn(studio)
        if not no_worker:
            stack.enter_context(worker_running(studio))
        _serve_web(studio, host or studio.settings.host, port or studio.settings.port)


@click.command()
def worker() -> None:
    """Run builds and background jobs until stopped."""
    from factory_core.kernel.boot import start
    from factory_core.kernel.logs import configure_logging
    from factory_core.kernel.servers import servers_running
    from factory_core.kernel.work import work

    studio = start()
    configure_logging(studio.settings)
    with servers_running(studio):
        asyncio.run(work(studio))


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
