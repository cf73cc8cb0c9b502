"""``studio build`` and ``studio builds``: from a specification to an artifact, watched live."""

# pyright: reportUnknownMemberType=false
# rich-click types the parameters of its decorators loosely.

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import rich_click as click

from factory_core.errors import EnvironmentUnfit
from factory_core.kernel.commands.build_boot import attached, boot, identify
from factory_core.kernel.commands.build_control import CONTROL
from factory_core.kernel.commands.build_release import ONTO_HELP, named_release
from factory_core.kernel.commands.specs import SPEC_WRONG, read_spec_bytes
from factory_core.usage import CommandGroup

if TYPE_CHECKING:
    from factory_core.kernel.commands.build_ending import Ending
    from factory_core.specs import Reading


class OutputUnwritable(EnvironmentUnfit):
    """The artifact could not be put where it was asked for."""

    def __init__(self, folder: Path, reason: str) -> None:
        self.folder = str(folder)
        super().__init__(f"Nothing can be written to {folder}: {reason}. Choose another folder with --out.")


@click.command()
@click.argument("spec", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Where the artifact goes.")
@click.option(
    "--detach", is_flag=True, help="Start the build and leave; follow it with 'studio builds attach'."
)
@click.option("--template", default="", help="The template to build with, instead of the specification's.")
@click.option("--max-agents", type=click.IntRange(min=1), help="A lower cap than the specification's.")
@click.option("--onto", metavar="RELEASE", help=ONTO_HELP)
@click.option("--strict", is_flag=True, help="Exit 5 when something is stubbed or not understood.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: events, then the ending.")
def build(
    spec: str,
    out: Path | None,
    detach: bool,
    template: str,
    max_agents: int | None,
    onto: str | None,
    strict: bool,
    as_json: bool,
) -> None:
    """Turn a specification into working, tested software; wait and show how it goes."""
    from factory_core.builds.service import BuildOrder
    from factory_core.kernel.commands.build_follow import BuildWatch
    from factory_core.kernel.embedded import attach
    from factory_core.specs import read

    content, name = read_spec_bytes(spec)
    reading = read(content, name=name)
    _show_problems(reading, spec, as_json=as_json)
    if reading.blueprint is None:
        sys.exit(SPEC_WRONG)
    folder = out or Path(f"{reading.blueprint.project.slug}-build")
    if not detach:
        _require_writable(folder)
    studio = boot()
    build, release = named_release(onto)
    order = BuildOrder(
        spec=content, name=name, template=template, max_agents=max_agents, onto=build, release=release
    )
    with attach(studio) as attached:
        watch = BuildWatch(studio, attached, as_json=as_json)
        if detach:
            identity = asyncio.run(watch.order(order))
            follow = f"studio builds attach {identity} --out {folder}"
            told = f"Build {identity} runs. Follow it: {follow}"
            click.echo(json.dumps({"build": str(identity), "follow": follow}) if as_json else told)
            return
        ending = asyncio.run(watch.build(order, folder))
    sys.exit(_exit_code(ending, strict=strict))


def _show_problems(reading: Reading, spec: str, *, as_json: bool) -> None:
    """Errors and warnings, before anything starts."""
    from factory_core.specs import describe_problems, render_problems

    if not reading.problems:
        return
    click.echo(render_problems(reading, spec), err=True)
    if as_json and reading.blueprint is None:
        click.echo(msgspec.json.encode(describe_problems(reading, spec)))


def _require_writable(folder: Path) -> None:
    """Raises OutputUnwritable: better now than after the build."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputUnwritable(folder, error.strerror or str(error)) from error


def _exit_code(ending: Ending, *, strict: bool) -> int:
    if ending.exit_code == 0 and strict and ending.gaps:
        return 5
    return ending.exit_code


@click.group(cls=CommandGroup)
def builds() -> None:
    """List, show, follow and read builds; pause, cancel, retry, fork and compare them."""


for command in CONTROL:
    builds.add_command(command)


@builds.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True)
def list_builds(as_json: bool, limit: int) -> None:
    """Show the newest builds."""
    from factory_core.kernel.commands.build_lists import print_builds

    attached(lambda studio: print_builds(studio, as_json=as_json, limit=limit))


@builds.command("show")
@click.argument("build_id", metavar="BUILD")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def show_build(build_id: str, as_json: bool) -> None:
    """Show one build: its state, its phases and what went wrong."""
    from factory_core.kernel.commands.build_lists import print_build

    identity = identify(build_id)
    attached(lambda studio: print_build(studio, identity, as_json=as_json))


@builds.command("attach")
@click.argument("build_id", metavar="BUILD")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Where the artifact goes.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def attach_build(build_id: str, out: Path | None, as_json: bool) -> None:
    """Follow a build that runs, or fetch what a finished one made."""
    from factory_core.kernel.commands.build_follow import BuildWatch
    from factory_core.kernel.embedded import attach

    studio = boot()
    identity = identify(build_id)
    with attach(studio) as attached:
        ending = asyncio.run(BuildWatch(studio, attached, as_json=as_json).attach(identity, out))
    sys.exit(ending.exit_code)


@builds.command("logs")
@click.argument("build_id", metavar="BUILD")
@click.option("--task", default="", help="Only this task's events, and what it left: gates, findings.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def log_build(build_id: str, task: str, as_json: bool) -> None:
    """Show what happened in a build so far, event by event; archived ones, too."""
    from factory_core.kernel.commands.build_logs import print_logs

    identity = identify(build_id)
    attached(lambda studio: print_logs(studio, identity, task=task, as_json=as_json))
