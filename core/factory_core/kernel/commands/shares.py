"""``studio shares``: what organisations and projects get, what they hold of it, and how to change it."""

# pyright: reportUnknownMemberType=false
# rich-click types the parameters of its decorators loosely.

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import rich_click as click

from factory_core.kernel.commands.operating import Json, with_database
from factory_core.kernel.commands.output import open_console
from factory_core.plain import plain, said

if TYPE_CHECKING:
    from uuid import UUID

    from rich.table import Table

    from factory_core.builds.holdings import Holding, OrganisationHolding
    from factory_core.builds.shares import OrganisationShare, ProjectShare, Shares
    from factory_core.kernel.boot import Studio
    from factory_core.kernel.database import Database

ResultT = TypeVar("ResultT")
UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
NO_LIMIT = "none"


class Amount(click.ParamType[int | str]):
    """A whole number, with a unit of bytes if it is of those, or ``none``: no limit. ``none`` stays as it is, since None
    says that the option was not given."""

    def __init__(self, name: str, units: dict[str, int]) -> None:
        self.name = name
        self._units = units

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """The number, or the word."""
        text = str(value).strip()
        if text == NO_LIMIT:
            return NO_LIMIT
        found = re.fullmatch(r"([0-9]{1,18}) ?([A-Za-z]*)", text)
        if not found or found[2] not in self._units:
            units = ", ".join(unit for unit in self._units if unit)
            self.fail(
                f"{text!r} is no whole number{f' of bytes, nor one with {units}' if units else ''}, and not 'none'.",
                param,
                ctx,
            )
        return int(found[1]) * self._units[found[2]]


COUNT, SIZE = Amount("number", {"": 1}), Amount("size", UNITS)
OPTIONS = {
    "weight": click.option("--weight", type=int, help="Its part beside others that have work."),
    "max_running": click.option(
        "--max-agents", "max_running", type=COUNT, help="How many agents may run at once, or 'none'."
    ),
    "max_memory": click.option(
        "--max-memory", type=SIZE, help="What its commands may hold on a worker host, as 2GiB, or 'none'."
    ),
    "reserved": click.option(
        "--reserved/--not-reserved",
        default=None,
        help="Whether it may take the slots that workers keep back.",
    ),
    "max_builds": click.option(
        "--max-builds", type=COUNT, help="How many builds may be open at once, or 'none'."
    ),
    "max_queued": click.option(
        "--max-queued", type=COUNT, help="How many tasks of open builds may be unfinished, or 'none'."
    ),
}
OfWhom = click.option("--organisation", default="", help="Its name or id. Default: the one without accounts.")


def _options(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def add(function: Callable[..., None]) -> Callable[..., None]:
        for name in reversed(names):
            function = OPTIONS[name](function)
        return function

    return add


@click.group(invoke_without_command=True)
@click.pass_context
def shares(ctx: click.Context) -> None:
    """Show and change what organisations and projects get of agents, processor and memory."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(show)


@shares.command("show")
@Json
def show(as_json: bool = False) -> None:
    """Show every organisation and its projects: weight, limits, and what each holds now."""

    async def read(_: Studio, database: Database) -> tuple[OrganisationHolding, ...]:
        from factory_core.builds.holdings import holdings
        from factory_core.builds.journal import Journal
        from factory_core.kernel.database import LOCAL_ORGANISATION

        await Journal(database.pool).found(LOCAL_ORGANISATION, "local")
        return await holdings(database.pool)

    found = with_database(read)
    if as_json:
        click.echo(msgspec.json.encode(found))
        return

    console = open_console()
    console.print(_table(found))
    for each in found:
        if each.more_projects:
            click.echo(f"{plain(each.name)}: {each.more_projects} more projects, which hold less.")


@shares.command("set")
@click.argument("project")
@_options("weight", "max_running", "max_memory")
@OfWhom
@Json
def set_project(project: str, organisation: str, as_json: bool, **wanted: Any) -> None:
    """Change the share of PROJECT, a slug. It counts from the next agent and command that start."""
    from factory_core.builds.shares import ProjectChange

    change = _change(ProjectChange, wanted)
    share = _with_shares(organisation, lambda found, org: found.change_project(org, project, change))
    _tell(project, share, as_json=as_json)


@shares.command("unset")
@click.argument("project")
@OfWhom
@Json
def unset_project(project: str, organisation: str, as_json: bool) -> None:
    """Take PROJECT its share: it has weight 1 and no limit again."""
    from factory_core.builds.shares import ProjectShare

    _with_shares(organisation, lambda found, org: found.take_from_project(org, project))
    _tell(project, ProjectShare(), as_json=as_json)


@shares.command("set-organisation")
@click.argument("organisation", default="")
@_options("weight", "max_running", "max_memory", "max_builds", "max_queued", "reserved")
@Json
def set_organisation(organisation: str, as_json: bool, **wanted: Any) -> None:
    """Change the share of ORGANISATION, a name or an id. Default: the one of a studio without accounts."""
    from factory_core.builds.shares import OrganisationChange

    change = _change(OrganisationChange, wanted)
    share = _with_shares(organisation, lambda found, org: found.change(org, change))
    _tell(organisation or "The organisation", share, as_json=as_json)


def _change(kind: type[ResultT], wanted: dict[str, Any]) -> ResultT:
    """What the options name. Raises click.UsageError."""
    members = {
        name: None if value == NO_LIMIT else value for name, value in wanted.items() if value is not None
    }
    if not members:
        raise click.UsageError("Nothing is to be changed. Name an option, such as --weight 3.")
    try:
        return msgspec.convert(members, kind)
    except msgspec.ValidationError as error:
        message = str(error)
        for name in OPTIONS:
            option = "--max-agents" if name == "max_running" else f"--{name.replace('_', '-')}"
            message = message.replace(f" - at `$.{name}`", f" for {option}")
        raise click.UsageError(message) from None


def _with_shares(organisation: str, action: Callable[[Shares, UUID], Awaitable[ResultT]]) -> ResultT:
    async def act(_: Studio, database: Database) -> ResultT:
        from factory_core.builds.journal import Journal
        from factory_core.kernel.database import LOCAL_ORGANISATION

        journal = Journal(database.pool)
        await journal.found(LOCAL_ORGANISATION, "local")
        org = await journal.shares.find(organisation) if organisation else LOCAL_ORGANISATION
        return await action(journal.shares, org)

    return with_database(act)


def _tell(whose: str, share: OrganisationShare | ProjectShare, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode({"whose": whose, "share": share}))
        return
    facts = msgspec.structs.asdict(share)
    facts["max_memory"] = _size(share.max_memory)
    said = ", ".join(f"{name} {NO_LIMIT if value is None else value}" for name, value in facts.items())
    click.echo(f"{whose} has now: {said}")


def _table(found: tuple[OrganisationHolding, ...]) -> Table:
    from rich.table import Table

    table = Table("organisation, project", "weight", "agents", "could start", "processor", "memory")
    total = sum(each.holds.processor_seconds or 0.0 for each in found)
    for each in found:
        table.add_row(said(each.name, style="bold"), *_cells(each.share, each.holds, total))
        for project in each.projects:
            name = said(f"  {project.project or 'no project'}")
            table.add_row(name, *_cells(project.share, project.holds, total))
    table.caption = "processor: part of all that was counted in the last five minutes"
    return table


def _cells(share: OrganisationShare | ProjectShare, holds: Holding, total: float) -> tuple[str, ...]:
    used, held = holds.processor_seconds, holds.memory
    return (
        str(share.weight),
        _of(str(holds.running), share.max_running),
        str(holds.ready),
        "" if not used else f"{used / total:.0%}",
        _of(
            "" if held is None else f"{held / UNITS['MiB']:.0f}MiB",
            share.max_memory and _size(share.max_memory),
        ),
    )


def _of(held: str, most: int | str | None) -> str:
    return held if most is None else f"{held or '?'} of {most}"


def _size(count: int | None) -> str:
    """In the largest unit that leaves a whole number, so that it can be typed again."""
    if count is None:
        return NO_LIMIT
    unit, size = max(
        ((unit, size) for unit, size in UNITS.items() if count % size == 0), key=lambda pair: pair[1]
    )
    return f"{count // size}{unit}"
