"""What others wrote reaches a terminal as text alone."""

from __future__ import annotations

import ast
import io
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import factory_core.kernel.commands
from factory_core.builds.progress import Progress
from factory_core.contracts.events import Event, EventKind
from factory_core.kernel.commands.build_view import choose_face
from factory_core.plain import plain, plain_lines, said
from factory_core.specs import read, render_problems

COMMANDS = Path(factory_core.kernel.commands.__file__).parent
OBEYED = "\x1b]0;owned\x07\x9b2J\r\x08\u202e"


@given(st.text())
def test_no_character_moves_anything(text: str) -> None:
    assert plain(text).isprintable()
    assert len(plain(text)) == len(text)
    assert plain_lines(text).count("\n") == text.count("\n")
    printed = io.StringIO()
    Console(file=printed, width=2**20).print(said(text))
    assert "".join(printed.getvalue().split("\n")).isprintable()


def test_the_reason_of_a_failure_is_text() -> None:
    pipe = io.StringIO()
    face = choose_face(Console(file=pipe), as_json=False)
    at, body = datetime(2026, 1, 1, tzinfo=UTC), {"reason": f"no{OBEYED}way"}
    failed = Event(build=UUID(int=1), seq=7, kind=EventKind.TASK_FAILED, task="t", at=at, body=body)
    face.show(failed, Progress())
    assert pipe.getvalue().rstrip("\n").isprintable()


def test_the_problems_of_a_specification_are_text() -> None:
    shown = render_problems(read(b'project: {name: x}\n"no\\e[2Jway": 1\n'), "x.yaml")
    assert "no" in shown
    assert all(line.isprintable() for line in shown.split("\n"))


def test_commands_give_rich_no_text_of_their_own_making() -> None:
    """Through ``said`` alone; rich leaves escape sequences as they are."""
    made = [
        f"{path.name}:{node.lineno}"
        for path in COMMANDS.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Text"
    ]
    assert made == []
    raw = io.StringIO()
    from rich.text import Text

    Console(file=raw).print(Text("\x1b[2J"))
    assert "\x1b" in raw.getvalue()
