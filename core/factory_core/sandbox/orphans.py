"""Sandboxes that lost their studio before they had begun.

Of bubblewrap's two processes the inner one waits until the outer one has set it up, and asks to die with it only after
that. When the outer one is killed in between, as it is when its studio dies, the inner one waits for ever: it holds both
ends of what it waits for (bubblewrap.c: ``child_wait_fd``). Nothing of a job has run in it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Generator
from pathlib import Path

__all__ = ["end_orphans"]

PROC = Path("/proc")
DIES_WITH_PARENT = "--die-with-parent"


def end_orphans(program: Path) -> list[int]:
    """Kill the first processes of sandboxes made with ``program`` whose outer process is gone; returns their pids. Those
    of other users are left alone."""
    ended: list[int] = []
    for folder in PROC.iterdir():
        if folder.name.isdigit() and _command(folder)[:1] == [str(program)]:
            with contextlib.suppress(OSError), _held(int(folder.name)) as process:
                if _is_orphan(folder, program):  # looked at while held, so that no other has taken its number
                    signal.pidfd_send_signal(process, signal.SIGKILL)
                    ended.append(int(folder.name))
    return ended


@contextlib.contextmanager
def _held(pid: int) -> Generator[int]:
    process = os.pidfd_open(pid)
    try:
        yield process
    finally:
        os.close(process)


def _is_orphan(folder: Path, program: Path) -> bool:
    """Whether it is the first process of a namespace below ours, has begun nothing, and its parent is no bubblewrap."""
    facts = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    _, *inside = facts.get("NSpid", "0").split()
    mine = _command(folder)
    parent = _command(PROC / facts["PPid"].strip())  # nothing, when that is in a namespace above ours
    begun = (folder / "task" / folder.name / "children").read_text().split()
    mute = inside[-1:] == ["1"] and DIES_WITH_PARENT in mine and not begun
    return mute and bool(parent) and mine[:1] == [str(program)] != parent[:1]


def _command(folder: Path) -> list[str]:
    """Empty when it ended while we looked, and for a thread of the kernel."""
    try:
        told = (folder / "cmdline").read_bytes()
    except OSError:
        return []
    return os.fsdecode(told).split("\0") if told else []
