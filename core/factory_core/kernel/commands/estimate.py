"""``studio plan --since``: what a build would do again, before it starts."""

from __future__ import annotations

import asyncio

import msgspec
import rich_click as click

from factory_core.builds.estimate import Estimate
from factory_core.builds.service import BuildOrder
from factory_core.kernel.boot import Studio, start
from factory_core.kernel.commands.build_boot import identify
from factory_core.kernel.database import LOCAL_ORGANISATION
from factory_core.kernel.embedded import attach
from factory_core.kernel.office import open_service
from factory_core.plain import plain

__all__ = ["NEWEST", "print_estimate"]

NEWEST = "newest"


def print_estimate(order: BuildOrder, *, since: str, as_json: bool) -> None:
    """Ask the studio of this home. Raises SpecRejected, BuildIdWrong, BuildMissing, ReleaseUnfit."""
    build = None if since == NEWEST else identify(since)
    studio = start()

    async def ask(studio: Studio) -> Estimate:
        async with open_service(studio) as service:
            return await service.estimate(LOCAL_ORGANISATION, order, since=build)

    with attach(studio):
        estimate = asyncio.run(ask(studio))
    if as_json:
        click.echo(msgspec.json.encode(estimate))
        return
    since = f"since build {estimate.since}" if estimate.since else "no earlier build of this project"
    click.echo(f"{since}: {plain(estimate.told())}")
    for title, names in (
        ("requirements changed", estimate.changes.requirements),
        ("parts changed", estimate.changes.nodes),
        ("tasks", estimate.again),
    ):
        if names:
            click.echo(f"{title}:")
            for each in names:
                click.echo(f"  {plain(each)}")
