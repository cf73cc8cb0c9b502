"""``studio plugins``: what is installed, what each plugin added, and how to start one of your own."""

# pyright: reportUnknownMemberType=false
# rich-click types the parameters of its decorators loosely.

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import rich_click as click

from factory_core.errors import DatabaseOutdated, FactoryError
from factory_core.kernel.boot import Studio, start
from factory_core.kernel.plugins import PluginReport
from factory_core.plain import plain, plain_lines

PLUGIN_OFF = 4


@click.group(invoke_without_command=True, cls=click.RichGroup)
@click.pass_context
def plugins(ctx: click.Context) -> None:
    """Show what is installed and what it added; start a plugin of your own."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(show_list)


@plugins.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print everything, tracebacks too, as JSON.")
@click.option("--verbose", "-v", is_flag=True, help="Show the traceback of a plugin that is off.")
def show_list(as_json: bool, verbose: bool) -> None:
    """Show each plugin, what it added, and why it is off if it is."""
    import msgspec

    studio, remark = _booted()
    if as_json:
        click.echo(msgspec.json.encode({"plugins": studio.reports(), "warnings": studio.warnings()}))
        return
    for report in studio.reports():
        _show(report, verbose=verbose)
    for warning in (*studio.warnings(), *remark):
        click.secho(f"note: {warning}", fg="yellow", err=True)


@plugins.command()
@click.argument("name", required=False)
def check(name: str | None) -> None:
    """Leave with an error when a plugin, or the one named, is off."""
    studio, _ = _booted()
    chosen = [report for report in studio.reports() if name in (None, report.name, report.distribution)]
    if not chosen:
        raise click.UsageError(f"No plugin is called {name!r}.")
    for report in chosen:
        _show(report, verbose=True)
    sys.exit(0 if all(report.on for report in chosen) else PLUGIN_OFF)


@plugins.command()
@click.argument("name")
@click.option(
    "--into", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Parent folder."
)
def new(name: str, into: Path) -> None:
    """Write a plugin package with a route, a command and a test, ready for pip install."""
    from factory_core.kernel.scaffold import write_plugin

    folder = write_plugin(name, into)
    click.echo(f"Wrote {folder}. Next: pip install -e {folder} && studio plugins check {name}")


def _booted() -> tuple[Studio, tuple[str, ...]]:
    """Boot everything a server would, web application included, and look up which migrations failed."""
    from factory_core.kernel.app import create_app
    from factory_core.kernel.migrate import note_failed_migrations

    studio = start()
    remark: tuple[str, ...] = ()
    try:
        asyncio.run(note_failed_migrations(studio))
    except DatabaseOutdated as error:
        remark = (str(error),)
    except FactoryError:
        remark = ("the database does not run, so failed migrations are not shown.",)
    create_app(studio)
    return studio, remark


def _show(report: PluginReport, *, verbose: bool) -> None:
    state = click.style("on", fg="green") if report.on else click.style("off", fg="red")
    click.echo(f"{click.style(report.name, bold=True)}  {report.distribution} {report.version}  {state}")
    for kind, labels in report.added.items():
        if labels:
            click.echo(f"    {kind}: {', '.join(labels)}")
    if report.cause:
        click.echo(f"    cause: {plain(report.cause)}")
    if verbose and report.traceback:
        click.echo("    " + plain_lines(report.traceback.rstrip()).replace("\n", "\n    "))
