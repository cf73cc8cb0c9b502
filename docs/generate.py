"""Write the generated pages of the reference: ``python docs/generate.py``; ``--check`` only says whether they are right."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import msgspec

from factory_core import hooks
from factory_core.kernel.boot import Studio, start
from factory_core.kernel.plugins import hook_names, implementation
from factory_core.settings import KernelSettings, read_sources, variable_of

REFERENCE = Path(__file__).parent / "reference"
NOTICE = "<!-- Written by docs/generate.py. Change the source, then run `make fix`. -->"


def hooks_page(studio: Studio) -> Iterator[str]:
    """Every hook with its signature, its promise, and who implements it."""
    yield "# Hooks"
    yield textwrap.dedent(hooks.__doc__ or "").strip()
    for name in hook_names():
        function = getattr(hooks, name)
        signature = str(inspect.signature(function)).replace("'", "")
        users = [f"`{plugin.name}`" for plugin in studio.plugins if implementation(plugin, name)]
        yield f"## `{name}`"
        yield f"```python\ndef {name}{signature}\n```"
        yield inspect.cleandoc(function.__doc__ or "")
        yield (
            f"Implemented by: {', '.join(users)}."
            if users
            else "Implemented by no plugin that ships; see the samples."
        )


def settings_page(studio: Studio) -> Iterator[str]:
    """Every setting with its variable, type, default and meaning."""
    yield "# Settings"
    yield (
        "A setting is read once, when a process starts: from the environment, else from its table in `studio.toml` in the "
        "home folder, else its default counts. A malformed one is named and nothing starts; one that nothing reads is a "
        "warning. Lists are separated by commas in a variable."
    )
    yield from _settings_table("kernel", KernelSettings, "the kernel")
    for plugin in studio.plugins:
        for kind in plugin.offers.get("factory_settings", ()):
            yield from _settings_table(plugin.name, kind, f"plugin {plugin.name}")


def _settings_table(name: str, kind: type[msgspec.Struct], owner: str) -> Iterator[str]:
    yield f"## `[{name}]`, of {owner}"
    rows = ["| variable | type | default | meaning |", "| --- | --- | --- | --- |"]
    docs = _field_docs(kind)
    types = inspect.get_annotations(kind)
    for field in msgspec.structs.fields(kind):
        default = "*must be set*" if field.required else _default(field.default)
        shown = str(types[field.name]).replace("|", "\\|")
        meaning = " ".join(docs.get(field.name, "").split())
        rows.append(f"| `{variable_of(name, field.name)}` | `{shown}` | {default} | {meaning} |")
    yield "\n".join(rows)


def _default(value: Any) -> str:
    return "" if value is msgspec.NODEFAULT or value in (None, "") else f"`{value}`"


def _field_docs(kind: type) -> dict[str, str]:
    """The text under each field."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)  # noqa: S101  # the source of a class is a class
    docs: dict[str, str] = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(said))):
                docs[name] = said
            case _:
                pass
    return docs


def commands_page(studio: Studio) -> Iterator[str]:
    """Every command with its arguments and options."""
    yield "# Commands"
    codes = inspect.getdoc(import_module("factory_core.kernel.cli")) or ""
    yield codes.split("\n\n", 1)[1]
    for name, target in sorted(studio.commands().items()):
        module, _, function = target.partition(":")
        yield from _command(f"studio {name}", getattr(import_module(module), function))


def _command(path: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    pieces = " ".join([path, *command.collect_usage_pieces(context)])
    yield f"## `{pieces}`"
    yield inspect.cleandoc(command.help or "")
    rows = [
        f"| `{', '.join((*option.opts, *option.secondary_opts))}` | {option.help or ''} |"
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
    ]
    if rows:
        yield "\n".join(["| option | meaning |", "| --- | --- |", *rows])
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from _command(f"{path} {name}", inner)


CODE = re.compile("(?<!`)``(?!`)")
"""Docstrings mark code the way of reStructuredText; pages are Markdown."""

PAGES = {"hooks.md": hooks_page, "settings.md": settings_page, "commands.md": commands_page}


def pages() -> dict[str, str]:
    """Every generated page: name to content. Settings of this machine play no part."""
    studio = start(read_sources({"FACTORY_HOME": "/nonexistent"}))
    return {name: CODE.sub("`", "\n\n".join([NOTICE, *make(studio)])) + "\n" for name, make in PAGES.items()}


def main(*, check: bool) -> int:
    """Write the pages, or say which are out of date."""
    stale = [name for name, text in pages().items() if _content(REFERENCE / name) != text]
    if check:
        for name in stale:
            sys.stderr.write(f"docs/reference/{name} is out of date: run 'make fix'.\n")
        return 1 if stale else 0
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, encoding="utf-8")
    return 0


def _content(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
