"""Two builds side by side: what became of requirements, gates, files and tasks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from factory_core.builds.record import TaskRecord
from factory_core.builds.schemas import BuildRow, ResultRow, TaskRow
from factory_core.contracts.events import BuildState, TaskState

__all__ = ["BuildComparison", "FilePaths", "Pair", "Side", "TaskPair", "View", "compare"]


class Side(Struct, frozen=True, kw_only=True):
    """One of the two. ``reported``: it has a report, without which there are no requirements and gates to compare."""

    build: UUID
    name: str
    state: BuildState
    seconds: float | None
    reported: bool


class Pair(Struct, frozen=True, kw_only=True):
    """A requirement's state or a gate's verdict in both; None where there is none."""

    id: str
    text: str
    left: str | None
    right: str | None

    @property
    def same(self) -> bool:
        """Whether both say the same."""
        return self.left == self.right


class FilePaths(Struct, frozen=True, kw_only=True):
    """Paths of generated files, from left to right; ``same`` counts those with equal content."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    same: int


class TaskPair(Struct, frozen=True, kw_only=True):
    """A task in both: its state, and the seconds of its last attempt (None: it did not run, as when it was taken over)."""

    id: str
    left: TaskState | None
    right: TaskState | None
    left_seconds: float | None
    right_seconds: float | None


class BuildComparison(Struct, frozen=True, kw_only=True):
    """Everything in both, in the left's order, then what only the right has."""

    left: Side
    right: Side
    requirements: tuple[Pair, ...]
    gates: tuple[Pair, ...]
    files: FilePaths
    tasks: tuple[TaskPair, ...]


class View(Struct, frozen=True, kw_only=True):
    """What is read of one build; ``report`` is empty where there is none."""

    row: BuildRow
    tasks: Sequence[TaskRow]
    results: Sequence[ResultRow]
    report: dict[str, Any]


def compare(left: View, right: View) -> BuildComparison:
    """Pure; ``report`` is the build report's document."""
    return BuildComparison(
        left=_side(left),
        right=_side(right),
        requirements=_pairs(_requirements(left.report), _requirements(right.report)),
        gates=_pairs(_gates(left.report), _gates(right.report)),
        files=_files(_paths(left.results), _paths(right.results)),
        tasks=_tasks(left.tasks, right.tasks),
    )


def _side(view: View) -> Side:
    row = view.row
    return Side(
        build=row.id,
        name=str(row.options.get("project", "")),
        state=row.state,
        seconds=round((row.ended_at - row.created_at).total_seconds(), 3) if row.ended_at else None,
        reported=bool(view.report),
    )


Lines = dict[str, tuple[str, str]]
"""id -> text, state."""


def _requirements(report: dict[str, Any]) -> Lines:
    return {line["id"]: (line["text"], line["state"]) for line in report.get("requirements", ())}


def _gates(report: dict[str, Any]) -> Lines:
    verdicts = {True: "passed", False: "failed"}
    return {
        gate["name"]: (str(gate.get("limit", "")), f"{verdicts[gate['passed']]} {gate['figure']}".rstrip())
        for gate in report.get("gates", ())
    }


def _pairs(left: Lines, right: Lines) -> tuple[Pair, ...]:
    return tuple(
        Pair(
            id=name,
            text=(right.get(name) or left[name])[0],
            left=left[name][1] if name in left else None,
            right=right[name][1] if name in right else None,
        )
        for name in _names(left, right)
    )


def _names(left: Iterable[str], right: Iterable[str]) -> list[str]:
    return list(dict.fromkeys((*left, *right)))


def _paths(results: Sequence[ResultRow]) -> dict[str, str]:
    """path -> digest; of two versions the later task's."""
    newest: dict[str, str] = {}
    for row in results:
        for ref in TaskRecord.of_row(row.id, row.result).files:
            newest[ref.path] = ref.digest
    return newest


def _files(left: dict[str, str], right: dict[str, str]) -> FilePaths:
    both = left.keys() & right.keys()
    changed = {path for path in both if left[path] != right[path]}
    return FilePaths(
        added=tuple(sorted(right.keys() - both)),
        changed=tuple(sorted(changed)),
        removed=tuple(sorted(left.keys() - both)),
        same=len(both) - len(changed),
    )


def _tasks(left: Sequence[TaskRow], right: Sequence[TaskRow]) -> tuple[TaskPair, ...]:
    ours, theirs = {task.id: task for task in left}, {task.id: task for task in right}
    pairs: list[TaskPair] = []
    for name in _names(ours, theirs):
        one, other = ours.get(name), theirs.get(name)
        pairs.append(
            TaskPair(
                id=name,
                left=one.state if one else None,
                right=other.state if other else None,
                left_seconds=_seconds(one),
                right_seconds=_seconds(other),
            )
        )
    return tuple(pairs)


def _seconds(task: TaskRow | None) -> float | None:
    if task is None or task.started_at is None or task.ended_at is None:
        return None
    return round((task.ended_at - task.started_at).total_seconds(), 3)
