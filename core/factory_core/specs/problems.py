"""What is wrong with a specification, and how a terminal shows it."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from factory_core.contracts.blueprint import Blueprint
from factory_core.plain import plain

__all__ = ["Problem", "Reading", "Severity", "describe_problems", "render_problems"]

WIDTH = 100


class Severity(StrEnum):
    """An error stops the build; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


class Problem(Struct, frozen=True, kw_only=True):
    """One thing to change, at a 1-based line and column of the document."""

    severity: Severity
    code: str
    message: str
    line: int
    column: int
    suggestion: str = ""


class Reading(Struct, frozen=True, kw_only=True):
    """What came of a document. ``blueprint`` is None exactly when there is an error among the problems."""

    blueprint: Blueprint | None
    problems: tuple[Problem, ...] = ()
    source: str = ""
    """The document as text, for showing the lines problems stand on; empty when it could not be decoded."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that stop a build."""
        return tuple(problem for problem in self.problems if problem.severity is Severity.ERROR)


def render_problems(reading: Reading, name: str) -> str:
    """Every problem as ``file:line:column: cause``, the source line with a caret, and the suggestion."""
    lines = reading.source.split("\n")
    return "\n".join(render(problem, name, lines) for problem in reading.problems)


def describe_problems(reading: Reading, name: str) -> dict[str, object]:
    """The same as plain values, for programs."""
    return {
        "file": name,
        "ok": reading.blueprint is not None,
        "problems": [
            {field: getattr(problem, field) for field in problem.__struct_fields__}
            for problem in reading.problems
        ],
    }


def render(problem: Problem, name: str, lines: list[str]) -> str:
    """One problem as text that ends without a newline."""
    head = f"{name}:{problem.line}:{problem.column}: {problem.severity.value}: {problem.message} [{problem.code}]"
    shown = [plain(head)]
    if 0 < problem.line <= len(lines) and lines[problem.line - 1].strip():
        shown += show_line(lines[problem.line - 1], problem.line, problem.column)
    if problem.suggestion:
        shown.append(plain(f"      = {problem.suggestion}"))
    return "\n".join(shown)


def show_line(line: str, number: int, column: int) -> list[str]:
    """The source line and a caret below the column; long lines are cut around it."""
    start = max(0, column - WIDTH * 2 // 3) if len(line) > WIDTH else 0
    cut = plain(line[start : start + WIDTH])
    caret = " " * max(0, min(column - 1 - start, len(cut))) + "^"
    return [f"{number:>5} | {cut.rstrip()}", f"      | {caret}"]
