"""``studio doctor``: what this machine lacks, each with what to do about it."""

# pyright: reportUnknownMemberType=false
# rich-click types the parameters of its decorators loosely.

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

import rich_click as click

from factory_core.errors import FactoryError
from factory_core.plain import plain

if TYPE_CHECKING:
    from factory_core.kernel.boot import Studio
    from factory_core.kernel.health import Check

UNFIT = 4


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
def doctor(as_json: bool) -> None:
    """Check plugins, settings, servers and the sandbox; say what to do about what is wrong."""
    import msgspec

    from factory_core.kernel.boot import start

    studio = start()
    checks = [*_plugins(studio), *_servers(studio), *asyncio.run(_sandbox()), _groups()]
    if as_json:
        click.echo(msgspec.json.encode({"checks": checks, "warnings": studio.warnings()}))
    else:
        for check in checks:
            mark = click.style("ok  ", fg="green") if check.ok else click.style("FAIL", fg="red")
            click.echo(f"{mark} {check.name}{': ' + plain(check.detail) if check.detail else ''}")
        for warning in studio.warnings():
            click.secho(f"note {warning}", fg="yellow")
    sys.exit(0 if all(check.ok or not check.required for check in checks) else UNFIT)


def _plugins(studio: Studio) -> list[Check]:
    from factory_core.kernel.health import Check

    return [
        Check(name=f"plugin {report.name}", ok=report.on, required=False, detail=report.cause)
        for report in studio.reports()
    ]


def _servers(studio: Studio) -> list[Check]:
    """Start what is embedded, ask everyone, and stop it again."""
    from factory_core.kernel.database import open_database
    from factory_core.kernel.health import Check, ask_everyone
    from factory_core.kernel.servers import servers_running

    async def ask() -> list[Check]:
        async with open_database(studio.database_url(), studio.settings) as database:
            return list((await ask_everyone(studio, database)).checks)

    try:
        with servers_running(studio):
            return asyncio.run(ask())
    except FactoryError as error:
        return [Check(name="servers", ok=False, detail=str(error))]


async def _sandbox() -> list[Check]:
    """What each canary found, and before that the verdict with the time it took."""
    from factory_core.kernel.health import Check
    from factory_core.sandbox import choose_sandbox

    began = time.monotonic()
    try:
        rows = await choose_sandbox().probe()
    except FactoryError as error:
        return [Check(name="sandbox", ok=False, detail=str(error))]
    refused = sum(row.refused for row in rows)
    said = f"{refused} of {len(rows)} escapes refused, tried in {time.monotonic() - began:.1f} s"
    return [
        Check(name="sandbox", ok=refused == len(rows), detail=said),
        *(Check(name=f"sandbox: {row.name}", ok=row.refused, detail=row.detail) for row in rows),
    ]


def _groups() -> Check:
    """Not required: a studio with one organisation and one project has nobody to share with."""
    from factory_core.kernel.health import Check
    from factory_core.sandbox.cgroups import what_is_missing

    missing = what_is_missing()
    return Check(name="control groups", ok=not missing, required=False, detail=missing)
