"""Runs the tests of a project once for each planted bug.

The libraries, and what of the application the bug cannot reach, are imported once; every bug gets a fork of that. Prints
one JSON object: whether the tests pass without a bug, and how each one fared, in order.
"""

from __future__ import annotations

import ast
import contextlib
import gc
import importlib
import importlib.abc
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["main"]

LIBRARIES = (
    "fastapi",
    "fastapi.testclient",
    "sqlalchemy.orm",
    "pydantic",
    "pytest",
    "_pytest.assertion.rewrite",
)
ARGUMENTS = ("-x", "-q", "-p", "no:cacheprovider", "-p", "no:cov", "-p", "no:randomly")
ALL = ["tests"]
STORIES = ["tests", "--ignore=tests/contract"]
KILLED, SURVIVED, TIMEOUT, BROKEN = "killed", "survived", "timeout", "broken"
BROKEN_CODE = 99
FATES = {
    0: SURVIVED,
    1: KILLED,
    2: KILLED,  # a test file could not even be imported
    5: SURVIVED,  # no tests are there
    -signal.SIGALRM: TIMEOUT,
    -signal.SIGXCPU: TIMEOUT,
}
# Loops end by the processor's time, so that a busy machine kills no mutant; only what sleeps is ended by the clock. The
# run without a bug takes as long as the whole suite takes; a few files of it take a fraction.
PROCESSOR_SECONDS = 60
WALL_SECONDS = 300
WHOLE_SUITE_SECONDS = 800


class Planter(importlib.abc.Loader):
    """Imports one module from another source than its file's."""

    def __init__(self, name: str, path: str, source: str) -> None:
        self._name, self._path, self._source = name, str(Path(path).resolve()), source

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Ours for that module alone."""
        if fullname != self._name:
            return None
        spec = ModuleSpec(fullname, self, origin=self._path)
        spec.has_location = True
        return spec

    def exec_module(self, module: ModuleType) -> None:
        """Run the source with the bug."""
        exec(compile(self._source, self._path, "exec"), vars(module))  # noqa: S102 - that is what importing is


def main(order: dict[str, Any]) -> dict[str, Any]:
    """The tests without a bug, then with each of them, as many at once as there are cores."""
    sys.path.insert(0, str(Path.cwd()))
    for library in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(library)
    with contextlib.suppress(Exception):  # the tests will say what is wrong with it
        importlib.import_module("app.main")
    importers = who_imports_whom()
    gc.disable()
    gc.freeze()
    mutants = order["mutants"]
    clean, *fates = run_all([None, *mutants], [ALL, *(mutant["tests"] for mutant in mutants)], importers)
    if clean != SURVIVED:
        return {"clean": False, "fates": []}
    # What the nearest tests missed, the stories may still find; the contracts of other entities do not look there.
    survivors = [number for number, fate in enumerate(fates) if fate == SURVIVED]
    again = run_all([mutants[number] for number in survivors], [STORIES] * len(survivors), importers)
    for number, fate in zip(survivors, again, strict=True):
        fates[number] = fate
    return {"clean": True, "fates": fates}


def run_all(
    mutants: list[dict[str, Any] | None], tests: list[list[str]], importers: dict[str, set[str]]
) -> list[str]:
    """How each fared."""
    cores = len(os.sched_getaffinity(0))
    running: dict[int, int] = {}
    fates = [BROKEN] * len(mutants)
    for number, (mutant, mine) in enumerate(zip(mutants, tests, strict=True)):
        if len(running) >= cores:
            collect_one(running, fates)
        if mutants[0] is None and 0 not in running.values() and number and fates[0] != SURVIVED:
            break  # tests that fail without a bug prove nothing
        running[start(mutant, mine, importers)] = number
    while running:
        collect_one(running, fates)
    return fates


def collect_one(running: dict[int, int], fates: list[str]) -> None:
    """Wait for any of them."""
    pid, status = os.wait()
    if pid in running:
        code = os.waitstatus_to_exitcode(status)
        # A crash of the interpreter is noticed, too.
        fates[running.pop(pid)] = FATES.get(code, KILLED if code < 0 else BROKEN)


def start(mutant: dict[str, Any] | None, tests: list[str], importers: dict[str, set[str]]) -> int:
    """A child that runs the tests and ends with pytest's exit code."""
    pid = os.fork()
    if pid:
        return pid
    code = BROKEN_CODE
    try:
        seconds = WHOLE_SUITE_SECONDS if mutant is None else PROCESSOR_SECONDS
        signal.alarm(max(seconds, WALL_SECONDS))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        if mutant is not None:
            name = module_name(mutant["path"])
            for stale in reached_from(name, importers):
                sys.modules.pop(stale, None)
            sys.meta_path.insert(0, Planter(name, mutant["path"], mutant["source"]))
        pytest = importlib.import_module("pytest")
        code = int(pytest.main([*ARGUMENTS, *tests]))
    finally:
        os._exit(code)


def who_imports_whom() -> dict[str, set[str]]:
    """``module -> modules of the application that import it``."""
    importers: dict[str, set[str]] = {}
    for path in Path("app").rglob("*.py"):
        name = module_name(path.as_posix())
        for imported in imports_in(path.read_text(), name):
            importers.setdefault(imported, set()).add(name)
    return importers


def imports_in(source: str, importer: str) -> Iterator[str]:
    """Modules that the source names, with the packages above them."""
    package = importer.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*above, *([node.module] if node.module else [])])
            yield name
            yield from (f"{name}.{alias.name}" for alias in node.names)


def reached_from(name: str, importers: dict[str, set[str]]) -> set[str]:
    """The module, all that import it, and so on; parents of a package hold it as an attribute."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += importers.get(module, ())
            if "." in module:
                waiting.append(module.rpartition(".")[0])
    return found


def module_name(path: str) -> str:
    """``app/routes/card.py`` -> ``app.routes.card``."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


if __name__ == "__main__":
    answer = main(json.loads(Path(".gate/order.json").read_text()))
    os.write(1, json.dumps(answer).encode())
