"""Runs the nearest tests of a project once for each planted bug.

The libraries, and what of the application the bug cannot reach, are imported once; every bug gets a fork of that. Then
what noticed the bugs is run without any: a test that is red anyway notices nothing. Prints one JSON object: whether all
of that was green, and how each bug fared, in order.
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
from typing import Any, TypedDict

from warm import ARGUMENTS, warm_up

__all__ = ["main"]

KILLED, SURVIVED, TIMEOUT, BROKEN = "killed", "survived", "timeout", "broken"
NO_TESTS, BROKEN_CODE = 5, 99
FATES = {
    0: SURVIVED,
    1: KILLED,
    2: KILLED,  # a test file could not even be imported
    NO_TESTS: SURVIVED,
    -signal.SIGALRM: TIMEOUT,
    -signal.SIGXCPU: TIMEOUT,
}
# Loops end by the processor's time, so that a busy machine kills no mutant; only what sleeps is ended by the clock.
PROCESSOR_SECONDS = 60
WALL_SECONDS = 300
LONGEST_NAME = 4000


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
    """How the bugs fared."""
    sys.path.insert(0, str(Path.cwd()))
    warm_up()
    with contextlib.suppress(Exception):  # the tests will say what is wrong with it
        importlib.import_module("app.main")
    importers = who_imports_whom()
    gc.disable()
    gc.freeze()
    mutants = order["mutants"]
    runs = run_all([Run(mutant, mutant["nearest"]) for mutant in mutants], importers)
    # What the nearest tests missed, the stories may still find.
    survivors = [number for number, run in enumerate(runs) if run.fate == SURVIVED]
    survivors += [number for number, mutant in enumerate(mutants) if not mutant["nearest"]]
    again = run_all([Run(mutants[number], [mutants[number]["stories"]]) for number in survivors], importers)
    nearest = [run.fates for run in runs]
    for number, run in zip(survivors, again, strict=True):
        runs[number] = run
    clean = run_all([Run(None, [group]) for group in noticed_by(runs)], importers)
    return {
        "clean": all(run.codes == [0] for run in clean),
        "fates": [run.fate for run in runs],
        "nearest": nearest,
    }


def fate_of(code: int) -> str:
    """Of a bug, by how pytest ended."""
    return FATES.get(code, KILLED if code < 0 else BROKEN)


class Group(TypedDict):
    """Tests to run together: what pytest is told, and the only ones of that to run, in order, when not all."""

    arguments: list[str]
    only: list[str] | None


class Run:
    """Groups of tests, one after the other until one is red, with a bug or without. Each group is a process of its own,
    so that how it fares does not depend on those before it."""

    def __init__(self, mutant: dict[str, Any] | None, groups: list[Group]) -> None:
        self.mutant = mutant
        self.groups = groups
        self.codes: list[int] = []
        """Of the groups that ran, as pytest ended."""
        self.first_red = ""
        """The test, or the file that could not be imported; empty when none was."""

    @property
    def fates(self) -> list[str]:
        """How the bug fared with each group that ran. A crash of the interpreter is noticed, too."""
        return [fate_of(code) for code in self.codes]

    @property
    def fate(self) -> str:
        """How it fared in the end: what broke counts only where nothing noticed the bug."""
        last = self.fates[-1] if self.codes else BROKEN
        return BROKEN if last == SURVIVED and BROKEN in self.fates else last

    @property
    def last(self) -> Group:
        """The group that was run last."""
        return self.groups[len(self.codes) - 1]


def noticed_by(runs: list[Run]) -> list[Group]:
    """The tests to run without a bug: those that were red, at once; and where a run ended without naming one, what it
    ran."""
    red = sorted({run.first_red for run in runs if run.fate == KILLED and run.first_red})
    groups: list[Group] = [{"arguments": red, "only": None}] if red else []
    for run in runs:
        unnamed = run.fate == KILLED and not run.first_red
        if (run.fate == TIMEOUT or unnamed) and run.last not in groups:
            groups.append(run.last)
    return groups


def run_all(runs: list[Run], importers: dict[str, set[str]]) -> list[Run]:
    """The same runs, ended: as many at once as there are cores."""
    cores = len(os.sched_getaffinity(0))
    running: dict[int, tuple[Run, int]] = {}
    for run in runs:
        if len(running) >= cores:
            collect_one(running)
        told, tells = os.pipe()
        running[start(run, tells, importers)] = run, told
        os.close(tells)
    while running:
        collect_one(running)
    return runs


def collect_one(running: dict[int, tuple[Run, int]]) -> None:
    """Wait for any of them."""
    pid, _ = os.wait()
    if pid in running:
        run, told = running.pop(pid)
        with os.fdopen(told, "rb") as pipe, contextlib.suppress(ValueError):
            answer = json.loads(pipe.read())
            run.codes = answer["codes"]
            # The cases of one test differ by what stands in brackets, which may hold anything.
            run.first_red = answer["first_red"].partition("[")[0]


class Witness:
    """A plugin of pytest: runs some of the tests, and tells the first that is red."""

    def __init__(self, tells: int, only: list[str] | None) -> None:
        self._tells = tells
        self._turns = {node: turn for turn, node in enumerate(only or ())}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Those asked for, in that order; tests that bear other names with the bug are run as a whole."""
        chosen = [item for item in items if item.nodeid in self._turns]
        items[:] = sorted(chosen, key=lambda item: self._turns[item.nodeid]) or items

    def pytest_runtest_logreport(self, report: Any) -> None:
        """A test's set-up, its call or its tear-down."""
        self._tell(report)

    def pytest_collectreport(self, report: Any) -> None:
        """A file that was imported, or not."""
        self._tell(report)

    def _tell(self, report: Any) -> None:
        if report.failed and self._tells >= 0:
            os.write(self._tells, report.nodeid.encode()[:LONGEST_NAME])
            os.close(self._tells)
            self._tells = -1


def start(run: Run, tells: int, importers: dict[str, set[str]]) -> int:
    """A child that has the bug, and runs one group of tests after the other."""
    pid = os.fork()
    if pid:
        return pid
    try:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        if run.mutant is not None:
            name = module_name(run.mutant["path"])
            for stale in reached_from(name, importers):
                sys.modules.pop(stale, None)
            sys.meta_path.insert(0, Planter(name, run.mutant["path"], run.mutant["source"]))
        codes: list[int] = []
        first_red = ""
        for group in run.groups:
            code, first_red = run_group(group)
            codes.append(code)
            if fate_of(code) not in (SURVIVED, BROKEN):
                break
        os.write(tells, json.dumps({"codes": codes, "first_red": first_red}).encode())
    finally:
        os._exit(0)


def run_group(group: Group) -> tuple[int, str]:
    """Pytest's exit code, negative for a signal, and the first test that was red."""
    if group["only"] == []:
        return NO_TESTS, ""
    told, tells = os.pipe()
    pid = os.fork()
    if not pid:
        code = BROKEN_CODE
        try:
            signal.alarm(WALL_SECONDS)
            resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS + 1))
            pytest = importlib.import_module("pytest")
            code = int(
                pytest.main(["-x", *ARGUMENTS, *group["arguments"]], plugins=[Witness(tells, group["only"])])
            )
        finally:
            os._exit(code)
    os.close(tells)
    with os.fdopen(told, "rb") as pipe:
        first_red = pipe.read(LONGEST_NAME).decode(errors="replace")
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), first_red


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
