"""``studio builds cancel|pause|resume|retry|fork|compare``: deciding about builds."""

# pyright: reportUnknownMemberType=false
# rich-click types the parameters of its decorators loosely.

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from uuid import UUID

import rich_click as click

from factory_core.errors import FactoryError
from factory_core.kernel.commands.build_boot import attached, identify

if TYPE_CHECKING:
    from factory_core.builds.schemas import BuildRow
    from factory_core.builds.service import BuildService, Fork
    from factory_core.kernel.boot import Studio

__all__ = ["CONTROL"]

CALLER = "the command line"
"""Who decides, as the events tell it; there are no accounts yet."""

_as_json = click.option("--json", "as_json", is_flag=True, help="Print the build as JSON.")
_build = click.argument("build_id", metavar="BUILD")


class ParamWrong(FactoryError):
    """Not a parameter and its value."""

    exit_code = 64

    def __init__(self, text: str) -> None:
        super().__init__(f"{text!r} is not a parameter of a task. Write --param NAME=VALUE.")


@click.command("cancel")
@_build
@_as_json
def cancel(build_id: str, as_json: bool) -> None:
    """Stop a build; what it finished stays remembered."""
    identity = identify(build_id)
    _act(
        identity,
        lambda service, org: _stop(service, org, identity),
        f"Build {identity} is cancelled, or will be as soon as what runs has stopped. "
        f"Run it again: studio builds retry {identity}",
        as_json=as_json,
    )


@click.command("pause")
@_build
@click.option("--reason", default="", help="Why, for whoever finds it paused.")
@_as_json
def pause(build_id: str, reason: str, as_json: bool) -> None:
    """Start nothing new in a build; what runs ends and is kept."""
    identity = identify(build_id)
    _act(
        identity,
        lambda service, org: service.pause(org, identity, by=CALLER, reason=reason),
        f"Build {identity} is paused. Go on: studio builds resume {identity}",
        as_json=as_json,
    )


@click.command("resume")
@_build
@click.option(
    "--decision",
    type=click.Choice(["approve", "reject"]),
    help="Of a halted build: whether it may go on, or is cancelled.",
)
@click.option("--note", default="", help="Why it was decided so; kept with the build.")
@_as_json
def resume(build_id: str, decision: str | None, note: str, as_json: bool) -> None:
    """Let a paused build go on, or answer what halted it."""
    identity = identify(build_id)
    if decision is None:
        _act(
            identity,
            lambda service, org: service.resume(org, identity, by=CALLER),
            f"Build {identity} goes on. Follow it: studio builds attach {identity}",
            as_json=as_json,
        )
        return
    approve = decision == "approve"
    _act(
        identity,
        lambda service, org: service.decide(org, identity, approve=approve, by=CALLER, note=note),
        f"Build {identity} {'goes on' if approve else 'is being cancelled'}.",
        as_json=as_json,
    )


@click.command("retry")
@_build
@click.option(
    "--task", "tasks", multiple=True, help="From this task on; may be repeated. Else all that went wrong."
)
@_as_json
def retry(build_id: str, tasks: tuple[str, ...], as_json: bool) -> None:
    """Run again what went wrong in a build, or a task and all that follows from it."""
    identity = identify(build_id)
    _act(
        identity,
        lambda service, org: service.retry(org, identity, tasks=tasks, by=CALLER),
        f"Build {identity} runs again. Follow it: studio builds attach {identity}",
        as_json=as_json,
    )


@click.command("fork")
@_build
@click.option("--from", "task", default="", help="The task to run again, with what follows. Else everything.")
@click.option(
    "--param", "params", multiple=True, metavar="NAME=VALUE", help="A changed parameter of the task."
)
@click.option(
    "--spec",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="Another specification: planned anew, what is equal is reused.",
)
@click.option("--key", default="", help="Repeating the command with the same key makes no second fork.")
@_as_json
def fork(
    build_id: str, task: str, params: tuple[str, ...], spec: str | None, key: str, as_json: bool
) -> None:
    """Make a new build from any task of one that has ended, and run only what depends on it."""
    from factory_core.builds.service import Fork
    from factory_core.kernel.commands.specs import read_spec_bytes

    identity = identify(build_id)
    content, name = read_spec_bytes(spec) if spec is not None else (None, "")
    order = Fork(source=identity, task=task, params=_params(params), spec=content, name=name, key=key)
    attached(lambda studio: _fork(studio, order, as_json=as_json))


@click.command("compare")
@click.argument("left", metavar="BUILD")
@click.argument("right", metavar="OTHER")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, what is the same too.")
def compare(left: str, right: str, as_json: bool) -> None:
    """Show what differs between two builds: requirements, gates, files, times."""
    from factory_core.kernel.commands.build_compare import print_comparison

    one, other = identify(left), identify(right)
    attached(lambda studio: print_comparison(studio, one, other, as_json=as_json))


def _params(words: tuple[str, ...]) -> dict[str, str]:
    """Raises ParamWrong."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise ParamWrong(word)
        found[name] = value
    return found


def _fork(studio: Studio, order: Fork, *, as_json: bool) -> None:
    from factory_core.contracts.events import TaskState
    from factory_core.kernel.database import LOCAL_ORGANISATION
    from factory_core.kernel.office import open_service

    async def make() -> tuple[UUID, int, int]:
        async with open_service(studio) as service:
            made = await service.fork(LOCAL_ORGANISATION, order, by=CALLER)
            tasks = await service.tasks(LOCAL_ORGANISATION, made.build)
            return made.build, sum(task.state is TaskState.DONE for task in tasks), len(tasks)

    identity, reused, total = asyncio.run(make())
    follow = f"studio builds attach {identity}"
    if as_json:
        told = {"build": str(identity), "source": str(order.source), "reused": reused, "follow": follow}
        click.echo(json.dumps(told))
        return
    planned = "It is planned anew" if total <= 1 else f"{reused} of {total} tasks are taken over"
    click.echo(f"Build {identity} is a fork of {order.source}. {planned}. Follow it: {follow}")


async def _stop(service: BuildService, org: UUID, identity: UUID) -> bool:
    """Raises BuildEnded for a build that passed or failed; once cancelled, cancelling is no error."""
    from factory_core.builds.errors import BuildEnded
    from factory_core.contracts.events import BuildState

    stopped = await service.cancel(org, identity)
    row = await service.get(org, identity)
    if row.state in (BuildState.PASSED, BuildState.FAILED):
        raise BuildEnded(identity, row.state)
    return stopped


def _act(
    identity: UUID,
    ask: Callable[[BuildService, UUID], Awaitable[bool]],
    told: str,
    *,
    as_json: bool,
) -> None:
    """Ask the service, and tell what became of it."""

    def act(studio: Studio) -> None:
        row = asyncio.run(_asked(studio, identity, ask))
        if as_json:
            import msgspec

            click.echo(msgspec.json.encode(row))
        else:
            click.echo(told)

    attached(act)


async def _asked(
    studio: Studio, identity: UUID, ask: Callable[[BuildService, UUID], Awaitable[bool]]
) -> BuildRow:
    from factory_core.kernel.database import LOCAL_ORGANISATION
    from factory_core.kernel.office import open_service

    async with open_service(studio) as service:
        await ask(service, LOCAL_ORGANISATION)
        return await service.get(LOCAL_ORGANISATION, identity)


CONTROL = (cancel, pause, resume, retry, fork, compare)
"""The commands, for the group ``builds``."""
