"""Runs inside the sandbox, in a track's worktree: tidies its Python files, then says what is wrong with its files.

Its arguments are a file with the paths as a JSON list. It prints JSON: ``{"checked": {gate: files}, "wrong": {gate: [[path,
message]]}}``, for the gates ``parses``, ``lint`` and ``imports``.
"""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

__all__ = ["main"]

IMPORT = re.compile(r"""^\s*(?:import|export)\b[^"'`;]*?["'](\.{1,2}/[^"']+)["']""", re.MULTILINE)


def read_ini(text: str) -> None:
    """Raises configparser.Error."""
    configparser.RawConfigParser().read_string(text)


def read_python(text: str) -> None:
    """Raises SyntaxError."""
    compile(text, "file", "exec", dont_inherit=True)


READERS: dict[str, Callable[[str], Any]] = {
    ".ini": read_ini,
    ".json": json.loads,
    ".py": read_python,
    ".svg": ElementTree.fromstring,
    ".toml": tomllib.loads,
    ".webmanifest": json.loads,
    ".xml": ElementTree.fromstring,
}
TEXTS = frozenset({".css", ".html", ".js", ".lock", ".mako", ".md", ".txt", ".yaml", ".yml"})
"""These only have to be UTF-8; of all others nothing is known."""


def main(order: str) -> None:
    """Check and print."""
    paths: list[str] = json.loads(Path(order).read_text("utf-8"))
    python = [path for path in paths if path.endswith(".py")]
    scripts = [path for path in paths if path.endswith(".js")]
    unread = list(unreadable(paths))
    # What cannot be read cannot be formatted either, and ruff would only say it again.
    wrong = {
        "parses": unread,
        "lint": lint(python) if python and not unread else [],
        "imports": [] if unread else list(missing(scripts)),
    }
    checked = {"parses": len(paths), "lint": len(python), "imports": len(scripts)}
    sys.stdout.write(json.dumps({"checked": checked, "wrong": wrong}))


def unreadable(paths: list[str]) -> Iterator[tuple[str, str]]:
    """Files that are not what their names say."""
    for name in paths:
        reader = READERS.get(Path(name).suffix)
        if reader is None and Path(name).suffix not in TEXTS:
            continue
        try:
            text = Path(name).read_text("utf-8")
            if reader is not None:
                reader(text)
        except (ValueError, SyntaxError, ElementTree.ParseError, configparser.Error) as error:
            yield name, f"cannot be read: {error}"


def lint(python: list[str]) -> list[tuple[str, str]]:
    """Tidy them, and say what ruff could not mend."""
    told = subprocess.run(
        ["ruff", "check", "--no-cache", "--fix", "--output-format=json", "--", *python],
        capture_output=True,
        check=False,
    )
    subprocess.run(["ruff", "format", "--quiet", "--no-cache", "--", *python], check=True)
    here = Path.cwd()
    return [
        (str(Path(each["filename"]).relative_to(here)), f"line {each['location']['row']}: {each['message']}")
        for each in json.loads(told.stdout)
    ]


def missing(scripts: list[str]) -> Iterator[tuple[str, str]]:
    """Modules that a script imports by their place and that are not there."""
    for name in scripts:
        for wanted in IMPORT.findall(Path(name).read_text("utf-8")):
            if not (Path(name).parent / wanted).is_file():
                yield name, f"imports {wanted}, which is not there"


if __name__ == "__main__":
    main(sys.argv[1])
