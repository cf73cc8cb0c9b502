"""What a terminal and a pipe are told of a build."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from uuid import UUID

import pytest
from rich.console import Console

from factory_core.builds.progress import Progress
from factory_core.contracts.events import Event, EventKind
from factory_core.kernel.commands.build_view import choose_face


@pytest.mark.parametrize(
    ("tasks", "line"), [(1, "+ 1 task by make/debugger/1\n"), (3, "+ 3 tasks by make/debugger/1\n")]
)
def test_who_adds_tasks_to_a_build_is_shown(tasks: int, line: str) -> None:
    pipe = io.StringIO()
    face = choose_face(Console(file=pipe), as_json=False)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    body = {"tasks": tasks, "agents": 9}
    grown = Event(
        build=UUID(int=1), seq=7, kind=EventKind.BUILD_GROWN, task="make/debugger/1", at=at, body=body
    )
    face.show(grown, Progress())
    assert pipe.getvalue() == line
