"""``studio check`` and ``studio plan``: what a specification says, and what would be done about it."""

# pyright: reportUnknownMemberType=false
# rich-click types the parameters of its decorators loosely.

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from factory_core.kernel.commands.output import open_console

if TYPE_CHECKING:
    from factory_core.contracts.plan import Plan
    from factory_core.specs import Reading

SPEC_WRONG = 2
ONE_BYTE_TOO_MANY = (1 << 20) + 1


def read_spec_bytes(path: str) -> tuple[bytes, str]:
    """A specification and its name, from a file or, as ``-``, from standard input; never more than can be too much."""
    if path == "-":
        return sys.stdin.buffer.read(ONE_BYTE_TOO_MANY), "standard input"
    with Path(path).open("rb") as file:
        return file.read(ONE_BYTE_TOO_MANY), Path(path).name


def read_spec(path: str) -> Reading:
    """What the reader makes of it."""
    from factory_core.specs import read

    content, name = read_spec_bytes(path)
    return read(content, name=name)


@click.command()
@click.argument("spec", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def check(spec: str, as_json: bool) -> None:
    """Show errors and warnings of a specification, each with its line and column."""
    import msgspec

    from factory_core.specs import describe_problems, render_problems

    reading = read_spec(spec)
    if as_json:
        click.echo(msgspec.json.encode(describe_problems(reading, spec)))
    elif reading.problems:
        click.echo(render_problems(reading, spec))
    else:
        click.echo(f"{spec}: nothing to complain about")
    sys.exit(0 if reading.blueprint is not None else SPEC_WRONG)


@click.command()
@click.argument("spec", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.option("--dot", is_flag=True, help="Print the graph for Graphviz.")
@click.option("--template", help="The template to build with, instead of the specification's.")
@click.option("--max-agents", type=click.IntRange(min=1), help="A lower cap than the specification's.")
@click.option(
    "--since",
    metavar="BUILD",
    help="Show what is new since that build, or since the project's newest with 'newest', and which tasks would run again.",
)
@click.option("--onto", metavar="RELEASE", help="With --since: the release that the build will stand on.")
def plan(
    spec: str,
    as_json: bool,
    dot: bool,
    template: str | None,
    max_agents: int | None,
    since: str | None,
    onto: str | None,
) -> None:
    """Show what would be done, by whom, how long it takes and what it costs; change nothing."""
    from factory_core.builds.runner import pick_template
    from factory_core.kernel.boot import start
    from factory_core.kernel.office import installed_templates
    from factory_core.planning import StudioPlanner, plan_build
    from factory_core.specs import render_problems

    if as_json + dot > 1 or (dot and since):
        raise click.UsageError("Choose --json, --dot or --since; --json and --since go together.")
    if onto and not since:
        raise click.UsageError("--onto goes with --since: the plan itself is the same.")
    if since is not None:
        from factory_core.builds.orders import BuildOrder
        from factory_core.kernel.commands.build_release import named_release
        from factory_core.kernel.commands.estimate import print_estimate

        content, name = read_spec_bytes(spec)
        build, release = named_release(onto)
        order = BuildOrder(
            spec=content,
            name=name,
            template=template or "",
            max_agents=max_agents,
            onto=build,
            release=release,
        )
        print_estimate(order, since=since, as_json=as_json)
        return
    reading = read_spec(spec)
    blueprint = reading.blueprint
    if blueprint is None:
        click.echo(render_problems(reading, spec), err=True)
        sys.exit(SPEC_WRONG)
    studio = start()
    package = pick_template(installed_templates(studio), template or blueprint.project.template)
    made = plan_build(StudioPlanner(studio.planners()), blueprint, package, max_agents=max_agents)
    _print(made, as_json=as_json, dot=dot)


def _print(plan: Plan, *, as_json: bool, dot: bool) -> None:
    import msgspec

    from factory_core.planning import show

    if as_json:
        click.echo(msgspec.json.encode(show.to_json(plan)))
    elif dot:
        click.echo(show.to_dot(plan), nl=False)
    else:
        console = open_console()
        console.print(show.everything(plan, width=console.width))
