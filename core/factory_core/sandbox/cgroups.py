"""Control groups, where the host lets us make them: bounds of a whole sandbox, and its share of the processor."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from msgspec import Struct

__all__ = ["ControlGroup", "Place", "find_place", "make_group", "sweep"]

PREFIX = "factory-"
ROOT = Path("/sys/fs/cgroup")
_numbers = itertools.count()


class Place(Struct, frozen=True):
    """Where groups are made: folders of their own in cgroup v1, one and the same in v2."""

    memory: Path
    pids: Path
    cpu: Path | None = None
    """None: where the processor cannot be shared out, a sandbox with many processes gets more of it."""


class ControlGroup:
    """One group for one sandbox. Raises OSError where the host refuses a part of it."""

    def __init__(self, place: Place, name: str, *, memory: int, processes: int) -> None:
        self._memory = place.memory / name
        pids = place.pids / name
        # Each group has the same weight unless told otherwise, however many processes are in it.
        cpu = (place.cpu / name,) if place.cpu else ()
        self._folders = tuple(dict.fromkeys((self._memory, pids, *cpu)))
        try:
            for folder in self._folders:
                folder.mkdir()
            if place.memory == place.pids:
                _hand_down(place.memory, ("memory", "pids", "cpu") if cpu else ("memory", "pids"))
            if cpu and not any((cpu[0] / file).exists() for file in ("cpu.weight", "cpu.shares")):
                raise FileNotFoundError(errno.ENOENT, "no share of the processor", str(cpu[0]))
            self._limit(memory, pids, processes)
        except OSError:
            self.remove()
            raise

    def _limit(self, memory: int, pids: Path, processes: int) -> None:
        unified = (self._memory / "memory.max").exists()
        (self._memory / ("memory.max" if unified else "memory.limit_in_bytes")).write_text(str(memory))
        swap = {"memory.swap.max": "0", "memory.oom.group": "1", "memory.memsw.limit_in_bytes": str(memory)}
        for file, value in swap.items():
            if (self._memory / file).exists():
                (self._memory / file).write_text(value)
        (pids / "pids.max").write_text(str(processes))

    def add(self, pid: int) -> None:
        """Put a process, and all it will start, under the limits."""
        for folder in self._folders:
            (folder / "cgroup.procs").write_text(str(pid))

    def memory_ran_out(self) -> bool:
        """Whether the kernel killed something for memory."""
        for file in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError):
                words = (self._memory / file).read_text().split()
                return int(words[words.index("oom_kill") + 1]) > 0
        return False

    def remove(self) -> bool:
        """Take the group away, and whether it is gone; it stays while something in it has not quite ended."""
        for folder in self._folders:
            with contextlib.suppress(OSError):
                folder.rmdir()
        return not any(folder.exists() for folder in self._folders)


def _hand_down(folder: Path, controllers: tuple[str, ...]) -> None:
    """Let groups below have these, each by itself: some may be there already. Cgroup v2 only; raises OSError."""
    control = folder / "cgroup.subtree_control"
    given = control.read_text().split()
    for name in controllers:
        if name not in given:
            control.write_text(f"+{name}")


@cache
def find_place() -> Place | None:
    """Where a group with both limits can be made, and with a share of the processor if anywhere, tried with a process of
    ours; None = nowhere."""
    for place in _places():
        try:
            group = ControlGroup(place, f"{PREFIX}{os.getpid()}-trial", memory=64 << 20, processes=16)
        except OSError:
            continue
        try:
            with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, env={}) as trial:
                group.add(trial.pid)
        except OSError:
            continue
        else:
            return place
        finally:
            group.remove()
    return None


def make_group(*, memory: int, processes: int) -> ControlGroup | None:
    """A fresh group, or None where the host lets us make none."""
    place = find_place()
    if place is None:
        return None
    return ControlGroup(place, f"{PREFIX}{os.getpid()}-{next(_numbers)}", memory=memory, processes=processes)


def sweep() -> None:
    """Take away what killed processes of the studio left behind."""
    place = find_place()
    for folder in {place.memory, place.pids, place.cpu or place.pids} if place else ():
        for group in folder.glob(f"{PREFIX}*-*"):
            maker = group.name.removeprefix(PREFIX).partition("-")[0]
            if not Path(f"/proc/{maker}").exists():
                with contextlib.suppress(OSError):
                    group.rmdir()


def _places() -> Iterator[Place]:
    """Our own group and those above it, nearest first: a group that holds processes may have no limited children."""
    mine = _memberships()
    if "memory" in mine and "pids" in mine:
        for memory in _upwards(mine["memory"]):
            for pids in _upwards(mine["pids"]):
                for cpu in _upwards(mine["cpu"]) if "cpu" in mine else ():
                    yield Place(ROOT / "memory" / memory, ROOT / "pids" / pids, ROOT / "cpu" / cpu)
                yield Place(ROOT / "memory" / memory, ROOT / "pids" / pids)
    for folder in _upwards(mine.get("", "/")):
        yield Place(ROOT / folder, ROOT / folder, ROOT / folder)
        yield Place(ROOT / folder, ROOT / folder)


def _upwards(path: str) -> list[str]:
    parts = path.strip("/").split("/")
    return ["/".join(parts[:count]) for count in range(len(parts), -1, -1)]


def _memberships() -> dict[str, str]:
    """``controller -> group``, the unified hierarchy under the empty name."""
    found: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, names, path = line.split(":", 2)
            found |= dict.fromkeys(names.split(","), path)
    return found
