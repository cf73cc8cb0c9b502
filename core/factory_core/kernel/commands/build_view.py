"""What a person sees while a build runs: phases as bars, agents at work, the last log lines, time left.

Three faces of one progress: a live picture in a terminal, plain lines in a pipe, JSON lines for programs.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import Protocol

import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from factory_core.builds.progress import PhaseProgress, Progress
from factory_core.contracts.events import Event, EventKind
from factory_core.contracts.plan import QUIET
from factory_core.plain import said

__all__ = ["BuildFace", "JsonFace", "LiveFace", "PlainFace", "choose_face"]

LOG_LINES = 6
BUSY_LINES = 5
_MARKS: dict[str, tuple[str, str]] = {
    EventKind.TASK_DONE: ("✓", "green"),
    EventKind.TASK_FAILED: ("✗", "red"),
    EventKind.TASK_QUARANTINED: ("✗", "red"),
    EventKind.TASK_RETRYING: ("↻", "yellow"),
    EventKind.TASK_LEASE_LOST: ("↻", "yellow"),
    EventKind.TASK_SKIPPED: ("·", "dim"),
    EventKind.TASK_CANCELLED: ("·", "dim"),
}


class BuildFace(Protocol):
    """Shows a build. ``show`` is called with every event, in order; ``tick`` a few times a second."""

    def show(self, event: Event, progress: Progress) -> None: ...

    def tick(self, progress: Progress) -> None: ...

    def note(self, message: str) -> None:
        """Something about the command itself, not the build."""
        ...

    def close(self) -> None:
        """Leave the terminal to others."""
        ...

    def reopen(self) -> None:
        """Take it back."""
        ...


def _line(event: Event, progress: Progress) -> tuple[str, str] | None:
    """The event as a line and its style; None for what is not worth one."""
    if event.kind == EventKind.BUILD_GROWN:
        added = event.body["tasks"]
        title = progress.tasks[event.task].title if event.task in progress.tasks else event.task
        return f"+ {added} {'task' if added == 1 else 'tasks'} by {title}", "cyan"
    mark = _MARKS.get(event.kind)
    if mark is None or event.task is None:
        return None
    task = progress.tasks.get(event.task)
    if task is not None and task.agent in QUIET:
        return None
    reason = str(event.body.get("reason", ""))
    title = task.title if task is not None else event.task
    return f"{mark[0]} {title}" + (f": {reason.splitlines()[0]}" if reason else ""), mark[1]


class JsonFace:
    """One JSON object a line: the events as the API gives them."""

    def show(self, event: Event, progress: Progress) -> None:
        del progress
        sys.stdout.write(msgspec.json.encode(event).decode() + "\n")
        sys.stdout.flush()

    def tick(self, progress: Progress) -> None:
        del progress

    def note(self, message: str) -> None:
        sys.stderr.write(message + "\n")

    def reopen(self) -> None:
        return None

    def close(self) -> None:
        return None


class PlainFace:
    """Lines without colour or movement, for pipes and logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._announced: set[str] = set()

    def show(self, event: Event, progress: Progress) -> None:
        line = _line(event, progress)
        if line is not None and event.kind != EventKind.TASK_DONE:
            self._console.print(said(line[0]))
        for phase in progress.phases():
            if phase.over == phase.total and phase.name not in self._announced:
                self._announced.add(phase.name)
                self._console.print(said(_sum_up(phase)))

    def tick(self, progress: Progress) -> None:
        del progress

    def note(self, message: str) -> None:
        self._console.print(said(message))

    def reopen(self) -> None:
        return None

    def close(self) -> None:
        return None


def _sum_up(phase: PhaseProgress) -> str:
    """What became of a phase that is over."""
    done = f"{phase.total}" if phase.done == phase.total else f"{phase.done} of {phase.total}"
    failed = f", {phase.failed} failed" if phase.failed else ""
    return f"{phase.name}: {done} {'task' if phase.total == 1 else 'tasks'} done{failed}"


class LiveFace:
    """A picture that redraws itself in place."""

    def __init__(self, console: Console) -> None:
        self._log: deque[Text] = deque(maxlen=LOG_LINES)
        self._began = time.monotonic()
        self._live = Live(console=console, refresh_per_second=8, transient=True)
        self._live.start()

    def show(self, event: Event, progress: Progress) -> None:
        line = _line(event, progress)
        if line is not None:
            self._log.append(said(line[0], style=line[1], overflow="ellipsis", no_wrap=True))

    def tick(self, progress: Progress) -> None:
        self._live.update(self._picture(progress))

    def note(self, message: str) -> None:
        # Above the picture, where it stays.
        self._live.console.print(said(message, style="bold yellow"))

    def reopen(self) -> None:
        self._live.start(refresh=True)

    def close(self) -> None:
        self._live.stop()

    def _picture(self, progress: Progress) -> RenderableType:
        elapsed = time.monotonic() - self._began
        left = f", about {progress.seconds_left():.0f} s left" if progress.tasks else ""
        head = said(f"{progress.state.value}  {elapsed:.0f} s{left}", style="bold")
        bars = Table.grid(padding=(0, 1))
        for phase in progress.phases():
            bars.add_row(*_bar(phase))
        at_work = progress.running()[:BUSY_LINES]
        busy = [said(f"▸ {task.agent}: {task.title}", style="cyan") for task in at_work]
        return Group(head, bars, *busy, said(""), *self._log)


def _bar(phase: PhaseProgress) -> tuple[RenderableType, RenderableType, RenderableType]:
    count = f"{phase.over}/{phase.total}" + (f"  {phase.failed} failed" if phase.failed else "")
    return (
        said(phase.name),
        ProgressBar(total=max(phase.total, 1), completed=phase.over, width=30),
        said(count, style="red" if phase.failed else ""),
    )


def choose_face(console: Console, *, as_json: bool) -> BuildFace:
    """JSON when asked for, a picture in a terminal, plain lines elsewhere."""
    if as_json:
        return JsonFace()
    return LiveFace(console) if console.is_terminal else PlainFace(console)
