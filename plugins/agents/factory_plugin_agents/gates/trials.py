"""Gates ``tests``, ``contract tests`` and ``coverage``: every test once, each acceptance case told apart.

Each file runs in a process of its own. A contract test that passed in an earlier build, and whose reach has not changed
since, is not run again: its results and the lines it covered are taken from there, and the report says so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct, to_builtins

from factory_core.contracts.agent import CaseResult, Finding, FindingLevel, GateResult, Outcome, Tools, Work
from factory_core.contracts.files import Produced
from factory_core.contracts.sandbox import Limits, SandboxResult

from ..acceptance import case_views
from .evidence import decoded, inside, tail
from .ran import Ran
from .reach import Reach, reaches

__all__ = ["SECRET", "check_tests"]

LIMIT = "all of at least 1, none skipped"
ACCEPTANCE = "tests/acceptance/"
REPORT, COVERAGE = ".gate/report.json", ".gate/coverage.json"
LIMITS = Limits(wall_seconds=600, cpu_seconds=600, output_bytes=1 << 20)
SECRET = {"SECRET_KEY": "only for the gates, and long enough to sign with"}
MOST_FINDINGS = 20
LONGEST_REASON = 500
FINISHED = (0, 1)
"""Exit codes of a run that reached its end, with or without failures."""
LEAST_COVERED = 5
_STEP = re.compile(r"step (\d+), ")
"""How the tests of acceptance cases say where they failed (``tests/story.py``)."""


class _Test(Struct):
    node: str
    outcome: str
    detail: str


class _Totals(Struct):
    covered_lines: int
    num_statements: int


class _Covered(Struct):
    summary: _Totals
    missing_lines: list[int]


class _Coverage(Struct):
    totals: _Totals
    files: dict[str, _Covered]


class _File(Struct):
    """How one file of tests ended, ``path -> lines`` of what it covered after the application was imported, and which of
    its tests ran them."""

    path: str
    code: int
    tests: list[_Test]
    broken: list[str]
    lines: dict[str, list[int]]
    ran: dict[str, dict[str, list[int]]]

    @property
    def who_ran(self) -> Ran:
        return Ran([test.node for test in self.tests], self.ran)

    @property
    def passed(self) -> bool:
        return self.code == 0 and not self.broken and all(test.outcome == "passed" for test in self.tests)


class _Answer(Struct):
    files: list[_File]
    imported: dict[str, list[int]]


class _Run(Struct, frozen=True, kw_only=True):
    """All tests, in order of their files, whether run now or before."""

    result: SandboxResult
    files: list[_File]
    alone: list[str] = []
    """The files that ran nothing beyond their reach."""
    imported: dict[str, list[int]] = {}
    """``path -> lines`` that ran when the application was imported."""
    coverage: _Coverage | None = None

    @property
    def tests(self) -> list[_Test]:
        return [test for file in self.files for test in file.tests]

    @property
    def broken(self) -> list[str]:
        return [broken for file in self.files for broken in file.broken]


async def check_tests(work: Work, tools: Tools) -> Outcome:
    """All gates of the run, and one result for every acceptance case of the blueprint. Its data name the files of tests
    whose verdict follows from their reach ``alone``, which test ``ran`` which lines, and which lines ran before all tests,
    when the application was ``imported``."""
    reach = await reaches(work, tools)
    run = await _run(work, tools, reach)
    cases = _cases(work, run.tests)
    gates = (_tests_gate(run, cases), _contract_gate(run), _coverage_gate(run, work))
    data = {
        "alone": run.alone,
        "ran": {file.path: to_builtins(file.who_ran) for file in run.files},
        "imported": run.imported,
    }
    return Outcome(gates=gates, cases=cases, findings=tuple(_findings(run))[:MOST_FINDINGS], data=data)


async def _run(work: Work, tools: Tools, reach: Mapping[str, Reach]) -> _Run:
    """What is remembered of contract tests, and all else run."""
    paths = sorted(ref.path for ref in work.inputs if _is_test(ref.path))
    keys = {path: f"tests {reach[path].digest}" for path in paths if path in reach}
    facts = await tools.recall(keys.values())
    known = {path: msgspec.convert(facts[key], _File) for path, key in keys.items() if key in facts}
    covered: dict[str, list[int]] = {}
    for file in known.values():
        for path, lines in file.lines.items():
            covered[path] = sorted({*covered.get(path, ()), *lines})
    order = {"files": [path for path in paths if path not in known], "covered": covered}
    result, made = await tools.run(
        ("python", ".gate/test_runner.py"),
        (
            *work.inputs,
            inside("test_runner.py"),
            inside("warm.py"),
            Produced(path=".gate/order.json", content=msgspec.json.encode(order)),
        ),
        limits=LIMITS,
        environment=SECRET,
        collect=(REPORT, COVERAGE),
    )
    found = {file.path: file.content for file in made}
    answer = decoded(found.get(REPORT), _Answer) or _Answer(files=[], imported={})
    alone = {
        file.path: file
        for file in answer.files
        if file.passed and file.path in reach and reach[file.path].holds(file.lines, answer.imported)
    }
    await tools.remember({keys[path]: _within(file, reach[path]) for path, file in alone.items()})
    ran = {file.path: file for file in answer.files}
    return _Run(
        result=result,
        files=[(known | ran)[path] for path in paths if path in known or path in ran],
        alone=sorted([*known, *alone]),
        imported=answer.imported,
        coverage=decoded(found.get(COVERAGE), _Coverage),
    )


def _is_test(path: str) -> bool:
    name = path.rpartition("/")[2]
    return path.startswith("tests/") and name.startswith("test_") and name.endswith(".py")


def _within(file: _File, reach: Reach) -> dict[str, Any]:
    """The file as it is remembered: what importing covers is measured in every build."""
    lines = {path: numbers for path, numbers in file.lines.items() if path in reach.files}
    return to_builtins(msgspec.structs.replace(file, lines=lines, ran=file.who_ran.within(reach.files).lines))


def _tests_gate(run: _Run, cases: tuple[CaseResult, ...]) -> GateResult:
    tests, result = run.tests, run.result
    passed = sum(test.outcome == "passed" for test in tests)
    proven = all(case.passed for case in cases)
    well = bool(tests) and passed == len(tests) and not run.broken and result.exit_code == 0 and proven
    others = {
        kind: sum(test.outcome == kind for test in tests) for kind in ("failed", "skipped", "xfailed", "none")
    }
    told = ", ".join(f"{count} {kind}" for kind, count in others.items() if count)
    return GateResult(
        name="tests",
        passed=well,
        figure=f"{passed} of {len(tests)} passed" + (f" ({told})" if told else ""),
        limit=LIMIT,
        detail="" if well else "\n".join([*run.broken, tail(result)]),
    )


def _contract_gate(run: _Run) -> GateResult:
    """All tests but the acceptance cases, so that a red case does not speak of code it does not name."""
    tests = [test for test in run.tests if not test.node.startswith(ACCEPTANCE)]
    red = [test for test in tests if test.outcome != "passed"]
    finished = run.result.exit_code in FINISHED and not run.result.killed and not run.broken
    well = finished and bool(tests) and not red
    return GateResult(
        name="contract tests",
        passed=well,
        figure=f"{len(tests) - len(red)} of {len(tests)} passed",
        limit=LIMIT,
        detail="" if well else "What failed is told at the gate tests.",
        paths=tuple(sorted({test.node.partition("::")[0] for test in red})) if finished else (),
    )


def _coverage_gate(run: _Run, work: Work) -> GateResult:
    coverage = run.coverage
    least = work.blueprint.constraints.min_test_coverage
    limit = f">= {least} %"
    if coverage is None or not coverage.totals.num_statements:
        return GateResult(
            name="coverage", passed=False, figure="did not run", limit=limit, detail=tail(run.result)
        )
    totals = coverage.totals
    percent = 100 * totals.covered_lines / totals.num_statements
    enough = totals.covered_lines * 100 >= least * totals.num_statements
    thin = sorted(coverage.files.items(), key=lambda item: (-len(item[1].missing_lines), item[0]))[
        :LEAST_COVERED
    ]
    return GateResult(
        name="coverage",
        passed=enough,
        # Rounded down, so that no figure shows the limit and failed.
        figure=f"{math.floor(percent * 10) / 10:.1f} %",
        limit=limit,
        detail="" if enough else "\n".join(f"{path}: lines {file.missing_lines}" for path, file in thin),
    )


def _cases(work: Work, tests: list[_Test]) -> tuple[CaseResult, ...]:
    """A case has passed when the test of its slug ran and passed. What a docstring says of it decides nothing."""
    results: list[CaseResult] = []
    for view in case_views(work.blueprint):
        case = view.case
        mine = [
            test for test in tests if test.node.startswith(ACCEPTANCE) and _name(test) == f"test_{view.slug}"
        ]
        wrong = [test for test in mine if test.outcome != "passed"]
        reason = _because(wrong[0]) if wrong else "" if mine else "No test of this case was run."
        step = _STEP.match(reason)
        results.append(
            CaseResult(
                name=case.name,
                passed=bool(mine) and not wrong,
                requirements=case.requirements,
                detail="".join(test.detail for test in wrong) or reason,
                step=int(step[1]) if step else 0,
                reason=reason,
            )
        )
    return tuple(results)


def _name(test: _Test) -> str:
    """The function, without its parameters."""
    return test.node.rpartition("::")[2].partition("[")[0]


def _findings(run: _Run) -> Iterable[Finding]:
    for test in run.tests:
        if test.outcome != "passed":
            path, _, name = test.node.partition("::")
            message = f"{name} {test.outcome}: {_reason(test.detail)}"
            yield Finding(level=FindingLevel.ERROR, code="test", message=message, path=path)
    for broken in run.broken:
        path, _, detail = broken.partition(": ")
        yield Finding(level=FindingLevel.ERROR, code="collection", message=_reason(detail), path=path)


def _because(test: _Test) -> str:
    """What a test said itself when it failed, without what pytest adds."""
    return _reason(test.detail).partition("\n")[0].removeprefix("AssertionError: ")


def _reason(detail: str) -> str:
    """What went wrong, without the way there."""
    said = [line[1:].strip() for line in detail.splitlines() if line.startswith("E ")]
    return ("\n".join(said) or detail.strip())[:LONGEST_REASON]
