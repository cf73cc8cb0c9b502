"""The agent that knows some causes of failures and what corrects them. What it does not know it says."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec import Struct

from factory_core.contracts.agent import Finding, FindingLevel, Outcome, Tools, Work
from factory_core.contracts.files import FileRef, Produced

from .files import differs
from .tidy import BOLD, TIDY_SCRIPT

__all__ = ["Debugger", "Failure"]

STARVED = re.compile(r"It was ended: |did not run|timed out|took longer")
UNDEFINED = re.compile(r"NameError: name '(\w+)' is not defined|[Uu]ndefined name [`'](\w+)[`']")
KNOWN_IMPORTS = {
    "date": "from datetime import date",
    "datetime": "from datetime import datetime",
    "timedelta": "from datetime import timedelta",
    "UTC": "from datetime import UTC",
    "Decimal": "from decimal import Decimal",
    "UUID": "from uuid import UUID",
    "uuid4": "from uuid import uuid4",
    "Any": "from typing import Any",
    "Path": "from pathlib import Path",
    "json": "import json",
    "os": "import os",
    "re": "import re",
}
WEAK_HASH = re.compile(r"(hashlib\.(?:md5|sha1)\((?:[^()]|\([^()]*\))*)\)")
UNSAFE_YAML = re.compile(r"\byaml\.load\(([^(),]+)(?:,\s*(?:Loader=)?yaml\.(?:Unsafe|Full)?Loader)?\)")
NO_SUCH_NAME = re.compile(r"[\w.]+ has no (\w+)")
FUTURE = "from __future__ import annotations\n"


class Failure(Struct, frozen=True, kw_only=True):
    """What a gate or a task said when it failed. ``findings``: code, path, line, message."""

    gate: str = ""
    task: str = ""
    said: str = ""
    findings: tuple[tuple[str, str, int, str], ...] = ()


Correction = Callable[[Sequence[Failure], dict[str, str]], dict[str, str]]


class Debugger:
    """Corrects the generated files, or names a failure whose cause may be gone when it is tried again."""

    name = "debugger"
    version = "2"

    async def run(self, work: Work, tools: Tools) -> Outcome:
        """The corrected files. A verdict when no known class of failure fits: trying again would change nothing."""
        failures = msgspec.json.decode(work.params["failures"], type=list[Failure])
        sources = [ref for ref in work.inputs if ref.path.endswith(".py")]
        before = {ref.path: (await tools.read(ref)).decode(errors="replace") for ref in sources}
        after, known = dict(before), list[str]()
        for name, correct in CORRECTIONS.items():
            made = correct(failures, after)
            known += [name] if made else []
            after.update(made)
        files: tuple[Produced, ...] = ()
        if known:
            changed = frozenset(path for path in after if after[path] != before[path])
            files = await _tidied(after, changed, work.inputs, tools)
        elif _styled(failures):
            known, files = await _restyled(failures, after, work.inputs, tools)
        if not files and all(STARVED.search(each.said) for each in failures):
            return _corrected("It ran out of time or memory; it is tried again.", ())
        if not files:
            causes = "; ".join(
                f"{each.gate or each.task}: {each.said.strip()[:200]}" for each in failures[:3]
            )
            return Outcome(failure=f"No known correction fits: {causes}")
        await tools.log(f"{', '.join(known)}: {len(files)} files corrected")
        return _corrected(f"{', '.join(known)}: corrected {', '.join(file.path for file in files)}.", files)


def _import_known(failures: Sequence[Failure], files: dict[str, str]) -> dict[str, str]:
    """A well-known name that is used and not imported, wherever it is used."""
    names = {one or two for text in _texts(failures) for one, two in UNDEFINED.findall(text)}
    made: dict[str, str] = {}
    for path, text in files.items():
        missing = [name for name in sorted(names & KNOWN_IMPORTS.keys()) if _lacks(text, name)]
        if missing and path.startswith("app/"):
            lines = "".join(f"{KNOWN_IMPORTS[name]}\n" for name in missing)
            head, found, tail = text.partition(FUTURE)
            made[path] = f"{head}{found}\n{lines}{tail}" if found else f"{lines}{text}"
    return made


def _lacks(text: str, name: str) -> bool:
    used = re.search(rf"(?<![\w.]){name}\b", text)
    return (
        used is not None and re.search(rf"^\s*(?:from \S+ )?import .*\b{name}\b", text, re.MULTILINE) is None
    )


def _weak_hash(failures: Sequence[Failure], files: dict[str, str]) -> dict[str, str]:
    """A hash that is no secret's, said to be one of content."""
    return _rewritten(failures, files, "B324", WEAK_HASH, r"\1, usedforsecurity=False)")


def _unsafe_yaml(failures: Sequence[Failure], files: dict[str, str]) -> dict[str, str]:
    """YAML that could make any object."""
    return _rewritten(failures, files, "B506", UNSAFE_YAML, r"yaml.safe_load(\1)")


def _rewritten(
    failures: Sequence[Failure], files: dict[str, str], code: str, shape: re.Pattern[str], by: str
) -> dict[str, str]:
    made: dict[str, str] = {}
    for path in {path for each in failures for found, path, _, _ in each.findings if found == code}:
        lines = files.get(path, "").splitlines(keepends=True)
        new = "".join(line if "usedforsecurity" in line else shape.sub(by, line) for line in lines)
        if new != files.get(path, ""):
            made[path] = new
    return made


def _misplaced(failures: Sequence[Failure], files: dict[str, str]) -> dict[str, str]:
    """A name taken from a module that has it not, when one other module has it."""
    made: dict[str, str] = {}
    for code, path, line, message in (finding for each in failures for finding in each.findings):
        said = NO_SUCH_NAME.fullmatch(message) if code == "interface" else None
        owners = [other for other, text in files.items() if said and said[1] in _top_names(text)]
        if said and len(owners) == 1 and path in files:
            owner = owners[0].removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            text = _taken_from(made.get(path, files[path]), line, said[1], owner)
            made |= {path: text} if text else {}
    return made


def _top_names(text: str) -> frozenset[str]:
    """Classes, functions and names that a file defines at its top; none for what is no Python."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return frozenset()
    named = {
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assigned = (node.targets for node in tree.body if isinstance(node, ast.Assign))
    return frozenset(named | {one.id for targets in assigned for one in targets if isinstance(one, ast.Name)})


def _taken_from(text: str, line: int, name: str, owner: str) -> str:
    """The file with this name imported from its owner; lines stay in number, as other findings count them. Empty: no such
    import begins there."""
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.ImportFrom)
            and node.lineno == line
            and any(each.name == name for each in node.names)
        ):
            rest = [each for each in node.names if each.name != name]
            own = [each for each in node.names if each.name == name]
            parts = [ast.ImportFrom(owner, own, 0)] + (
                [ast.ImportFrom(node.module, rest, node.level)] if rest else []
            )
            return _put(text, node, "; ".join(map(ast.unparse, parts)))
    return ""


def _put(text: str, node: ast.stmt, by: str) -> str:
    """The text with one statement replaced, as many lines long as before. The parser counts columns in bytes."""
    raw = text.encode()
    starts = [0]
    for line in raw.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    last, column = node.end_lineno or node.lineno, node.end_col_offset or 0
    before, after = raw[: starts[node.lineno - 1] + node.col_offset], raw[starts[last - 1] + column :]
    return (before + by.encode() + b"\n" * (last - node.lineno) + after).decode()


CORRECTIONS: dict[str, Correction] = {
    "missing import": _import_known,
    "weak hash": _weak_hash,
    "unsafe YAML": _unsafe_yaml,
    "a name of another module": _misplaced,
}
"""Known classes of failures, each with what corrects it."""


def _texts(failures: Iterable[Failure]) -> Iterable[str]:
    for each in failures:
        yield each.said
        yield from (message for _, _, _, message in each.findings)


def _styled(failures: Iterable[Failure]) -> bool:
    return any("lint" in each.gate or "format" in each.gate for each in failures)


async def _restyled(
    failures: Sequence[Failure], files: dict[str, str], inputs: Sequence[FileRef], tools: Tools
) -> tuple[list[str], tuple[Produced, ...]]:
    """What was complained of, tidied; where that changes nothing, with the bolder corrections. All checks run again."""
    named = frozenset(path for each in failures for _, path, _, _ in each.findings) & files.keys()
    wanted = named or frozenset(files)
    for cause, options in (("untidy code", ()), ("a fault of style, corrected boldly", (BOLD,))):
        made = await _tidied(files, wanted, inputs, tools, *options)
        if made:
            return [cause], made
    return [], ()


async def _tidied(
    texts: dict[str, str], wanted: frozenset[str], inputs: Sequence[FileRef], tools: Tools, *options: str
) -> tuple[Produced, ...]:
    """Those of the wanted files that differ from what was there. The others are there to be imported."""
    refs = {ref.path: ref for ref in inputs}
    settings = tuple(ref for ref in inputs if ref.path == "pyproject.toml")
    files = tuple(
        Produced(path=path, content=text.encode()) if path in wanted else refs[path]
        for path, text in texts.items()
    )
    result, made = await tools.run(
        ("python", "-c", TIDY_SCRIPT, *options), (*settings, *files), collect=("**/*.py",)
    )
    if result.exit_code != 0:
        return ()
    return tuple(
        [file for file in made if file.path in wanted and await differs(file, refs[file.path], tools)]
    )


def _corrected(message: str, files: tuple[Produced, ...]) -> Outcome:
    finding = Finding(level=FindingLevel.INFO, code="debugger", message=message)
    return Outcome(files=files, findings=(finding,))
