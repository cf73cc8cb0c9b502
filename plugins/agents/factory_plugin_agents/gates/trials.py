"""Gates ``tests``, ``contract tests`` and ``coverage``: one run of all, each acceptance case told apart."""

from __future__ import annotations

import math
from collections.abc import Iterable

from msgspec import Struct

from factory_core.contracts.agent import CaseResult, Finding, FindingLevel, GateResult, Outcome, Tools, Work
from factory_core.contracts.sandbox import Limits, SandboxResult

from ..acceptance import case_views
from .evidence import decoded, inside, tail

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


class _Test(Struct):
    node: str
    outcome: str
    detail: str


class _Report(Struct):
    tests: list[_Test]
    broken: list[str]


class _Totals(Struct):
    covered_lines: int
    num_statements: int


class _File(Struct):
    summary: _Totals
    missing_lines: list[int]


class _Coverage(Struct):
    totals: _Totals
    files: dict[str, _File]


async def check_tests(work: Work, tools: Tools) -> Outcome:
    """All gates of the run, and one result for every acceptance case of the blueprint."""
    command = (
        *("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "gate_report"),
        *("--cov=app", f"--cov-report=json:{COVERAGE}", "--cov-fail-under=0"),
    )
    result, files = await tools.run(
        command,
        (*work.inputs, inside("gate_report.py")),
        limits=LIMITS,
        environment={"PYTHONPATH": ".gate", "COVERAGE_FILE": "/tmp/coverage", **SECRET},  # noqa: S108 - the sandbox's
        collect=(REPORT, COVERAGE),
    )
    found = {file.path: file.content for file in files}
    report = decoded(found.get(REPORT), _Report) or _Report(tests=[], broken=[])
    coverage = decoded(found.get(COVERAGE), _Coverage)
    cases = _cases(work, report.tests)
    gates = (
        _tests_gate(result, report, cases),
        _contract_gate(result, report),
        _coverage_gate(result, coverage, work),
    )
    return Outcome(gates=gates, cases=cases, findings=tuple(_findings(report))[:MOST_FINDINGS])


def _tests_gate(result: SandboxResult, report: _Report, cases: tuple[CaseResult, ...]) -> GateResult:
    tests = report.tests
    passed = sum(test.outcome == "passed" for test in tests)
    proven = all(case.passed for case in cases)
    well = bool(tests) and passed == len(tests) and not report.broken and result.exit_code == 0 and proven
    others = {
        kind: sum(test.outcome == kind for test in tests) for kind in ("failed", "skipped", "xfailed", "none")
    }
    told = ", ".join(f"{count} {kind}" for kind, count in others.items() if count)
    return GateResult(
        name="tests",
        passed=well,
        figure=f"{passed} of {len(tests)} passed" + (f" ({told})" if told else ""),
        limit=LIMIT,
        detail="" if well else "\n".join([*report.broken, tail(result)]),
    )


def _contract_gate(result: SandboxResult, report: _Report) -> GateResult:
    """All tests but the acceptance cases, so that a red case does not speak of code it does not name."""
    tests = [test for test in report.tests if not test.node.startswith(ACCEPTANCE)]
    red = [test for test in tests if test.outcome != "passed"]
    finished = result.exit_code in FINISHED and not result.killed and not report.broken
    well = finished and bool(tests) and not red
    return GateResult(
        name="contract tests",
        passed=well,
        figure=f"{len(tests) - len(red)} of {len(tests)} passed",
        limit=LIMIT,
        detail="" if well else "What failed is told at the gate tests.",
        paths=tuple(sorted({test.node.partition("::")[0] for test in red})) if finished else (),
    )


def _coverage_gate(result: SandboxResult, coverage: _Coverage | None, work: Work) -> GateResult:
    least = work.blueprint.constraints.min_test_coverage
    limit = f">= {least} %"
    if coverage is None or not coverage.totals.num_statements:
        return GateResult(
            name="coverage", passed=False, figure="did not run", limit=limit, detail=tail(result)
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
        results.append(
            CaseResult(
                name=case.name,
                passed=bool(mine) and not wrong,
                requirements=case.requirements,
                detail="".join(test.detail for test in wrong) if mine else "No test of this case was run.",
            )
        )
    return tuple(results)


def _name(test: _Test) -> str:
    """The function, without its parameters."""
    return test.node.rpartition("::")[2].partition("[")[0]


def _findings(report: _Report) -> Iterable[Finding]:
    for test in report.tests:
        if test.outcome != "passed":
            path, _, name = test.node.partition("::")
            message = f"{name} {test.outcome}: {_reason(test.detail)}"
            yield Finding(level=FindingLevel.ERROR, code="test", message=message, path=path)
    for broken in report.broken:
        path, _, detail = broken.partition(": ")
        yield Finding(level=FindingLevel.ERROR, code="collection", message=_reason(detail), path=path)


def _reason(detail: str) -> str:
    """What went wrong, without the way there."""
    said = [line[1:].strip() for line in detail.splitlines() if line.startswith("E ")]
    return ("\n".join(said) or detail.strip())[:LONGEST_REASON]
