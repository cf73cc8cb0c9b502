"""The command ``studio``: commands come from the kernel and the plugins and are imported when they are used.

Exit codes: 0 done; 1 a gate or an acceptance case failed; 2 the specification is wrong; 3 cancelled; 4 the environment (a
server, the sandbox, the toolchain, a setting, a plugin); 5 ``--strict`` found something stubbed or not understood; 64 the
command line was wrong; 70 a defect of ours; 75 too much is waiting already, try again later.
"""

# pyright: reportUnknownMemberType=false
# rich-click types the parameters of its decorators loosely.

from __future__ import annotations

import ast
import difflib
import sys
import traceback
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import rich_click as click

from factory_core.errors import FactoryError
from factory_core.kernel.boot import COMMAND_HOOKS, KERNEL_COMMANDS, start
from factory_core.kernel.version import VERSION
from factory_core.plain import plain_lines
from factory_core.usage import WRONG_USAGE, CommandGroup

OUR_DEFECT = 70
INTERRUPTED = 130


class CommandBroken(FactoryError):
    """A command's module could not be imported."""

    exit_code = 4

    def __init__(self, command: str, target: str, reason: str) -> None:
        self.command = command
        self.target = target
        super().__init__(
            f"The command {command} ({target}) cannot be used: {reason}. See 'studio plugins list'."
        )


class StudioGroup(CommandGroup):
    """Knows every command by name and imports only the one that is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in alphabetical order; the kernel's alone when the platform does not boot."""
        try:
            return sorted(_targets(ctx))
        except FactoryError as error:
            click.secho(f"note: plugins' commands are missing here. {error}", fg="yellow", err=True)
            return sorted(KERNEL_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A stand-in with the command's first sentence: enough for the list of commands."""
        target = KERNEL_COMMANDS.get(cmd_name) or _targets(ctx).get(cmd_name)
        return None if target is None else click.RichCommand(name=cmd_name, help=_first_sentence(target))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command itself, for it is about to run."""
        name = args[0]
        target = KERNEL_COMMANDS.get(name)
        if target is None and not name.startswith("-"):
            commands = _targets(ctx)
            target = commands.get(name)
            if target is None:
                close = difflib.get_close_matches(name, commands, n=1)
                raise click.UsageError(
                    f"There is no command {name!r}." + (f" Did you mean {close[0]!r}?" if close else "")
                )
        if target is None:
            return super().resolve_command(ctx, args)
        return name, _imported(name, target), args[1:]


def _targets(ctx: click.Context) -> dict[str, str]:
    root = ctx.find_root()
    if root.obj is None:
        root.obj = start(hooks=COMMAND_HOOKS).commands()
    return root.obj


def _imported(name: str, target: str) -> click.Command:
    module, _, function = target.partition(":")
    try:
        command: object = getattr(import_module(module), function)
    except Exception as error:
        raise CommandBroken(name, target, f"{type(error).__name__}: {error}") from error
    if not isinstance(command, click.Command):
        raise CommandBroken(name, target, "it is not a click command")
    return command


def _first_sentence(target: str) -> str:
    """The docstring of the command's function, read without running its module."""
    module, _, function = target.partition(":")
    try:
        spec = find_spec(module)
        source = Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else ""
    except (ImportError, OSError, UnicodeDecodeError):
        return "(cannot be read)"
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function:
            return (ast.get_docstring(node) or "").split("\n\n")[0]
    return ""


@click.group(cls=StudioGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="studio")
@click.option("--traceback", "show_traceback", is_flag=True, help="Show where an error comes from.")
def studio(show_traceback: bool) -> None:  # read by main, which also runs when parsing fails
    """Turn a written specification into working, tested software."""


def main(arguments: list[str] | None = None) -> None:
    """Run one command and leave with its exit code; an error is one message and a next step."""
    words = sys.argv[1:] if arguments is None else arguments
    verbose = "--traceback" in words
    try:
        code = studio.main(words, prog_name="studio", standalone_mode=False)
    except FactoryError as error:
        _complain(str(error), error, verbose=verbose)
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = WRONG_USAGE
    except (click.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except BrokenPipeError:
        code = 0  # the reader of our output has seen enough
    except Exception as error:  # noqa: BLE001  # the last net: a defect is told in one line, too
        hint = "" if verbose else " Run it again with 'studio --traceback ...' and report what you see."
        _complain(
            f"This is a defect of Factory Studio: {type(error).__name__}: {error}.{hint}",
            error,
            verbose=verbose,
        )
        code = OUR_DEFECT
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str, error: Exception, *, verbose: bool) -> None:
    if verbose:
        traceback.print_exception(error)
    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(plain_lines(message), err=True)


if __name__ == "__main__":
    main()
