"""Runs test files, each in a process of its own, and measures what each of their tests covers.

The libraries and the application are imported once, and every file gets a fork of that, as many at once as there are
cores: how a file ends does not depend on the files beside it. Writes ``.gate/report.json`` and ``.gate/coverage.json``.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from warm import ARGUMENTS, warm_up

__all__ = ["main"]

NOTHING_COLLECTED, CRASHED = 5, 70
FINISHED = (0, 1, NOTHING_COLLECTED)
LONGEST = 4000
COMMON = "common"
"""The context of coverage for what several tests of a file share: its imports, and fixtures that outlive a test."""
REPORT, COVERAGE = ".gate/report.json", ".gate/coverage.json"


class Recorder:
    """A plugin of pytest that keeps how every test ended, and tells coverage which of them runs."""

    def __init__(self, cover: Any) -> None:
        self.tests: dict[str, dict[str, Any]] = {}
        self.broken: list[str] = []
        self._cover = cover
        self._context = ""
        self.switch(COMMON)

    def switch(self, context: str) -> None:
        """What is covered from here on belongs to it."""
        if context != self._context:
            self._cover.switch_context(context)
            self._context = context

    def pytest_runtest_setup(self, item: Any) -> None:
        """A test begins."""
        self.switch(item.nodeid)

    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> None:
        """Whichever test happens to be the first makes what the others use, too."""
        self.switch(request.node.nodeid if fixturedef.scope == "function" else COMMON)

    def pytest_runtest_call(self, item: Any) -> None:
        """All that the test needs is there."""
        self.switch(item.nodeid)

    def pytest_runtest_teardown(self, item: Any, nextitem: Any) -> None:
        """Whichever test happens to be the last clears away what the others used, too."""
        self.switch(item.nodeid if nextitem else COMMON)

    def pytest_itemcollected(self, item: Any) -> None:
        """A test that is collected and never ends counts as not run."""
        self.tests[item.nodeid] = {"node": item.nodeid, "outcome": "none", "detail": ""}

    def pytest_collectreport(self, report: Any) -> None:
        """A file that cannot be imported is no file without tests."""
        if report.failed:
            self.broken.append(f"{report.nodeid}: {str(report.longrepr)[-LONGEST:]}")

    def pytest_runtest_logreport(self, report: Any) -> None:
        """A test passed when its call did and nothing before or after it failed."""
        test = self.tests[report.nodeid]
        if report.failed or report.skipped or (report.when == "call" and test["outcome"] == "none"):
            strange = "xfailed" if hasattr(report, "wasxfail") else report.outcome
            test["outcome"] = strange if test["outcome"] in ("none", "passed") else test["outcome"]
            test["detail"] = str(report.longrepr)[-LONGEST:] if report.longrepr else test["detail"]


def main(order: dict[str, Any]) -> int:
    """Run ``order["files"]``; ``order["covered"]`` are lines known to be covered by files that are not run again."""
    sys.path.insert(0, str(Path.cwd()))
    warm_up("coverage.sqldata")
    coverage = importlib.import_module("coverage")
    cover = coverage.Coverage(data_file=None, config_file="pyproject.toml", source=["app"])
    cover.start()
    with contextlib.suppress(Exception):  # the tests will say what is wrong with it
        importlib.import_module("app.main")
    ended = run_all(order["files"], cover)
    cover.stop()
    data = cover.get_data()
    imported = lines_of(data)
    for lines in (order["covered"], *(each["lines"] for each in ended)):
        data.add_lines({str(Path(path).resolve()): numbers for path, numbers in lines.items()})
    Path(REPORT).write_text(json.dumps({"files": ended, "imported": imported}))
    with contextlib.suppress(coverage.CoverageException):  # there is no application
        cover.json_report(outfile=COVERAGE)
    return max((0 if each["code"] == NOTHING_COLLECTED else each["code"] for each in ended), default=0)


def run_all(files: list[str], cover: Any) -> list[dict[str, Any]]:
    """How each file ended, in order."""
    cores = len(os.sched_getaffinity(0))
    running: dict[int, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        codes: list[int] = [CRASHED] * len(files)
        waiting = list(enumerate(files))
        while waiting or running:
            if waiting and len(running) < cores:
                number, path = waiting.pop(0)
                running[start(path, Path(folder, str(number)), cover)] = number
                continue
            pid, status = os.wait()
            if pid in running:
                code = os.waitstatus_to_exitcode(status)
                codes[running.pop(pid)] = code if code >= 0 else CRASHED
        return [told(path, codes[number], Path(folder, str(number))) for number, path in enumerate(files)]


def told(path: str, code: int, kept: Path) -> dict[str, Any]:
    """What a child left. What a file that failed said goes on to our own output."""
    ended: dict[str, Any] = {"path": path, "code": code, "tests": [], "broken": [], "lines": {}, "ran": {}}
    try:
        ended |= json.loads(kept.with_suffix(".json").read_text())
    except (OSError, ValueError):  # it left before its end, whatever it said then
        ended["code"] = code = code or CRASHED
    if code not in (0, NOTHING_COLLECTED):
        with contextlib.suppress(OSError):
            os.write(1, kept.with_suffix(".txt").read_bytes())
    return ended


def start(path: str, kept: Path, cover: Any) -> int:
    """A child that runs one file and ends with pytest's exit code."""
    pid = os.fork()
    if pid:
        return pid
    code = CRASHED
    try:
        said = os.open(kept.with_suffix(".txt"), os.O_CREAT | os.O_WRONLY)
        os.dup2(said, 1)
        os.dup2(said, 2)
        recorder = Recorder(cover)  # what importing the application covered stays with the context before
        code = int(importlib.import_module("pytest").main([*ARGUMENTS, path], plugins=[recorder]))
        cover.stop()
        data = cover.get_data()
        data.set_query_contexts(["."])  # any that has a name
        ended = {
            "tests": list(recorder.tests.values()),
            "broken": recorder.broken,
            "lines": lines_of(data),
            "ran": who_ran(data, list(recorder.tests)),
        }
        kept.with_suffix(".json").write_text(json.dumps(ended))
    finally:
        sys.stdout.flush()
        os._exit(code)


def lines_of(data: Any) -> dict[str, list[int]]:
    """``path -> lines`` of what was covered."""
    found: dict[str, list[int]] = {path: sorted(data.lines(name) or ()) for path, name in measured(data)}
    return {path: lines for path, lines in found.items() if lines}


def who_ran(data: Any, tests: list[str]) -> dict[str, dict[str, list[int]]]:
    """``path -> tests -> lines``. Tests are a hexadecimal number: its bit ``n`` stands for the test ``n``."""
    bits = {test: 1 << number for number, test in enumerate(tests)} | {COMMON: (1 << len(tests)) - 1}
    found: dict[str, dict[str, list[int]]] = {}
    for path, name in measured(data):
        lines: dict[str, list[int]] = {}
        for line, contexts in sorted(data.contexts_by_lineno(name).items()):
            who = 0
            for context in contexts:
                who |= bits.get(context, 0)
            if who:
                lines.setdefault(f"{who:x}", []).append(line)
        if lines:
            found[path] = lines
    return found


def measured(data: Any) -> list[tuple[str, str]]:
    """The project's files, with the names that coverage knows them by."""
    top = Path.cwd()
    names = [name for name in data.measured_files() if Path(name).is_relative_to(top)]
    return sorted((Path(name).relative_to(top).as_posix(), name) for name in names)


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(".gate/order.json").read_text())))
