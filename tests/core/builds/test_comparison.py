"""Two builds side by side."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from factory_core.builds.comparison import Pair, View, compare
from factory_core.builds.schemas import BuildRow, ResultRow, TaskRow
from factory_core.contracts.events import BuildState, TaskState
from factory_core.contracts.files import FileRef

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def task(name: str, seconds: float | None, state: TaskState = TaskState.DONE) -> TaskRow:
    facts: dict[str, Any] = {
        "id": name, "n": 0, "parent": None, "after": (), "agent": "a", "title": "", "team": "", "phase": "",
        "scope": "project", "params": {}, "requirements": (), "seconds": 0.0, "priority": 0, "optional": False,
        "always": False, "state": state, "fence": 1, "tries": 0, "crashes": 0, "reason": "",
        "started_at": NOON if seconds is not None else None, "ended_at": NOON + timedelta(seconds=seconds or 0),
    }  # fmt: skip
    return TaskRow(**facts)


def view(
    number: int,
    *,
    files: dict[str, str],
    tasks: tuple[TaskRow, ...] = (),
    requirements: dict[str, str] | None = None,
    gates: dict[str, bool] | None = None,
) -> View:
    row = BuildRow(
        id=UUID(int=number), org=UUID(int=9), idem_key="", spec_digest="", options={"project": "P"},
        state=BuildState.PASSED, stop=False, reason="", seq=1, tasks=1, agents=1, unfinished=0, created_at=NOON,
        deadline_at=None, ended_at=NOON + timedelta(seconds=number),
    )  # fmt: skip
    refs = [FileRef(path=path, digest=digest, size=1, producer="x") for path, digest in files.items()]
    results = [
        ResultRow(
            id="x", agent="a", state=TaskState.DONE, reason="", result={"files": msgspec.to_builtins(refs)}
        )
    ]
    report = {
        "requirements": [{"id": k, "text": k, "state": v} for k, v in (requirements or {}).items()],
        "gates": [
            {"name": k, "passed": v, "figure": "90 %", "limit": "80 %"} for k, v in (gates or {}).items()
        ],
    }
    return View(row=row, tasks=tasks, results=results, report=report if requirements or gates else {})


def test_files_are_added_changed_removed_or_the_same() -> None:
    found = compare(
        view(1, files={"a": "1", "b": "1", "c": "1"}), view(2, files={"b": "2", "c": "1", "d": "1"})
    )
    assert (found.files.added, found.files.changed, found.files.removed, found.files.same) == (
        ("d",),
        ("b",),
        ("a",),
        1,
    )
    assert (found.left.seconds, found.right.seconds, found.left.reported) == (1.0, 2.0, False)


def test_a_build_compared_with_itself_has_no_difference() -> None:
    one = view(
        1, files={"a": "1"}, tasks=(task("t", 1.5),), requirements={"R-1": "proven"}, gates={"g": True}
    )
    found = compare(one, one)
    assert all(pair.same for pair in (*found.requirements, *found.gates))
    assert (found.files.same, found.files.changed) == (1, ())


def test_requirements_and_gates_stand_side_by_side_also_where_one_has_none() -> None:
    left = view(1, files={}, requirements={"R-1": "proven", "R-2": "failed"}, gates={"g": False})
    right = view(2, files={}, requirements={"R-2": "proven", "R-3": "stubbed"}, gates={"g": True})
    found = compare(left, right)
    assert found.requirements == (
        Pair(id="R-1", text="R-1", left="proven", right=None),
        Pair(id="R-2", text="R-2", left="failed", right="proven"),
        Pair(id="R-3", text="R-3", left=None, right="stubbed"),
    )
    assert [(gate.left, gate.right) for gate in found.gates] == [("failed 90 %", "passed 90 %")]


def test_what_was_taken_over_took_no_time() -> None:
    left = view(1, files={}, tasks=(task("a", 2.0), task("b", 1.0)))
    right = view(2, files={}, tasks=(task("a", None), task("c", 1.0, TaskState.FAILED)))
    found = {pair.id: pair for pair in compare(left, right).tasks}
    assert (found["a"].left_seconds, found["a"].right_seconds, found["a"].right) == (
        2.0,
        None,
        TaskState.DONE,
    )
    assert (found["b"].right, found["c"].left, found["c"].right) == (None, None, TaskState.FAILED)
