"""Counts what a sandbox holds, from outside: the bound where the host offers no control group."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from msgspec import Struct

__all__ = ["Census", "take_census"]

PAGE = os.sysconf("SC_PAGE_SIZE")


class Census(Struct, frozen=True):
    """Processes and their resident memory in bytes, shared pages counted once for each."""

    processes: int
    memory: int


def take_census(first: int, *, enough: int) -> Census:
    """Over ``first`` and all below it, until ``enough`` are found; those that lose their parent in a sandbox become
    children of its first."""
    waiting, processes, memory = [first], 0, 0
    while waiting and processes < enough:
        pid = waiting.pop()
        processes += 1
        with contextlib.suppress(OSError, ValueError, IndexError):  # it ended while we looked
            memory += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
    return Census(processes, memory)
