"""Holds back whose sandboxes take more of the processor than their part while another waits for its own.

Weights alone do not keep the parts: processes that fork and end all the time get nearly everything from the kernel,
whatever their group weighs (``tests/load/neighbours.py churn``). So somebody looks every second, and who takes too much of
a contested processor gets a bound, which is loosened as soon as nobody waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import structlog
from msgspec import Struct

from factory_core.sandbox.cgroups import SHARED, find_place, processor_seconds

__all__ = ["Sight", "Throttle", "bounds", "look", "set_bound"]

PERIOD = 100_000
"""Microseconds over which the kernel keeps a bound."""
LEAST = 0.05
"""Processors that everybody keeps."""
TOO_MUCH, TOO_LITTLE = 1.1, 0.7
"""Of its part: more is taken from others, less is to be starved if more was wanted."""
LOOSENED, FORGOTTEN = 1.1, 0.98
"""What becomes of a bound and of the most that was taken in a turn."""
LOOKED_AT = 64
"""Threads of one organisation at most, so that a crowd is no work for who looks at it."""
_log = structlog.get_logger(__name__)


class Sight(Struct, frozen=True):
    """An organisation's sandboxes on this host at one moment. Times in seconds."""

    used: float
    """Processor time since their group was made."""
    waited: Mapping[int, float]
    """How long each thread could have run and did not."""
    weight: float = 1.0
    bound: float | None = None
    """Processors they may use at most."""


def bounds(
    before: Mapping[str, Sight], after: Mapping[str, Sight], seconds: float, most: float = 0.0
) -> dict[str, float]:
    """Who is to have which bound, in processors, after what was seen at the ends of so many seconds.

    ``most``: processors that all together have got lately. Parts are of these or of what was taken now, so they are right
    in a container that has less than its host."""
    both = [name for name in after if name in before and after[name].used >= before[name].used]
    took = {name: (after[name].used - before[name].used) / seconds for name in both}
    wanted = {name: took[name] + _waited(before[name], after[name], seconds) for name in both}
    part = _parts({name: (wanted[name], after[name].weight) for name in both}, max(most, sum(took.values())))
    starved = any(took[name] < TOO_LITTLE * part[name] for name in both)
    found: dict[str, float] = {}
    for name, sight in after.items():
        if name not in part:  # nothing is known of what it took
            found |= {} if sight.bound is None else {name: sight.bound}
        elif starved and took[name] > TOO_MUCH * part[name]:
            found[name] = max(LEAST, part[name])
        elif sight.bound is not None and len(both) > 1:
            # Who is bounded waits for that alone: it is no reason to keep it below its part.
            found[name] = max(sight.bound, part[name]) if starved else sight.bound * LOOSENED
    return found


def _parts(wants: Mapping[str, tuple[float, float]], shared: float) -> dict[str, float]:
    """What each may have of ``shared``, by what it wants and its weight: who wants less than its part leaves the rest to
    the others."""
    found: dict[str, float] = {}
    weights = sum(weight for _, weight in wants.values())
    for name, (wanted, weight) in sorted(wants.items(), key=lambda item: item[1][0] / item[1][1]):
        found[name] = min(wanted, shared * weight / weights)
        shared, weights = shared - found[name], weights - weight
    return found


def taken(before: Mapping[str, Sight], after: Mapping[str, Sight], seconds: float) -> float:
    """Processors that all together got."""
    return (
        sum(max(0.0, after[name].used - before[name].used) for name in before.keys() & after.keys()) / seconds
    )


def _waited(before: Sight, after: Sight, seconds: float) -> float:
    """Threads, on average, that could have run and did not. One that was not seen before counts if it may be younger."""
    found = 0.0
    for thread, waited in after.waited.items():
        if thread in before.waited:
            found += max(0.0, waited - before.waited[thread])
        elif waited <= seconds:
            found += waited
    return found / seconds


def look(cpu: Path, account: Path) -> dict[str, Sight]:
    """The groups of all organisations that have sandboxes on this host, whichever worker runs them. The folders are a
    place's."""
    found: dict[str, Sight] = {}
    for folder in cpu.glob(f"{SHARED}*"):
        with contextlib.suppress(OSError, ValueError):  # it is ending
            found[folder.name] = Sight(
                processor_seconds(account / folder.name),
                {thread: _waited_by(thread) for thread in islice(_threads(folder), LOOKED_AT)},
                _weight(folder),
                _bound(folder),
            )
    return found


def _threads(folder: Path) -> Iterator[int]:
    """Of the group and those in it."""
    name = "tasks" if (folder / "tasks").exists() else "cgroup.threads"
    for file in folder.rglob(name):
        with contextlib.suppress(OSError):  # its sandbox has ended
            yield from map(int, file.read_text().split())


def _waited_by(thread: int) -> float:
    """See schedstat in the kernel's documentation: the second figure is nanoseconds spent waiting on a run queue."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{thread}/schedstat").read_text().split()[1]) / 1e9
    return 0.0


def _weight(folder: Path) -> float:
    with contextlib.suppress(FileNotFoundError):
        return int((folder / "cpu.shares").read_text()) / 1024
    return int((folder / "cpu.weight").read_text()) / 100


def _bound(folder: Path) -> float | None:
    with contextlib.suppress(FileNotFoundError):
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        return None if quota < 0 else quota / int((folder / "cpu.cfs_period_us").read_text())
    most, period = (folder / "cpu.max").read_text().split()
    return None if most == "max" else int(most) / int(period)


def set_bound(folder: Path, processors: float | None) -> None:
    """None takes it away. Raises OSError where the host has no such bounds."""
    quota = None if processors is None else round(processors * PERIOD)
    if (folder / "cpu.cfs_quota_us").exists():
        (folder / "cpu.cfs_period_us").write_text(str(PERIOD))
        (folder / "cpu.cfs_quota_us").write_text(str(-1 if quota is None else quota))
    else:
        (folder / "cpu.max").write_text(f"{'max' if quota is None else quota} {PERIOD}")


def _hold(folder: Path, sight: Sight, bound: float | None) -> None:
    try:
        set_bound(folder, bound)
    except OSError:  # it has ended, or may not have so much: no bound is better than one that stays
        with contextlib.suppress(OSError):
            set_bound(folder, None)
    else:
        if sight.bound is None:
            message = "sandboxes take more than their part while others wait"
            _log.info(message, group=folder.name, processors=bound)


class Throttle:
    """One worker process of a host does it for all; when it ends, the next one does."""

    def __init__(self, cpu: Path, account: Path) -> None:
        self._cpu = cpu
        self._account = account
        self._lock = -1
        self._seen: dict[str, Sight] = {}
        self._at = 0.0
        self._most = 0.0

    def turn(self) -> None:
        """Look and act; nothing where another process does. Raises OSError."""
        if not self._mine():
            return
        before, then = self._seen, self._at
        self._seen, self._at = look(self._cpu, self._account), time.monotonic()
        seconds = max(self._at - then, 1e-3)
        self._most = max(taken(before, self._seen, seconds), self._most * FORGOTTEN)
        wanted = bounds(before, self._seen, seconds, self._most)
        for name, sight in self._seen.items():
            bound = wanted.get(name)
            bound = None if bound is None or bound >= (os.cpu_count() or 1) else bound
            if bound != sight.bound:
                _hold(self._cpu / name, sight, bound)

    def close(self) -> None:
        """Let another do it. Bounds stay until that one looks or the sandboxes have ended."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _mine(self) -> bool:
        if self._lock >= 0:
            return True
        fd = os.open(self._cpu, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # another holds it, or the host has no such locks
            os.close(fd)
            return False
        self._lock = fd
        return True

    @classmethod
    async def run(cls, every: float = 1.0) -> None:
        """For ever, every so many seconds; not at all where the processor cannot be shared out."""
        place = await asyncio.to_thread(find_place)
        if place is None or place.cpu is None or place.account is None or not place.nested:
            return
        throttle = cls(place.cpu, place.account)
        try:
            while True:
                await asyncio.sleep(every)
                try:
                    await asyncio.to_thread(throttle.turn)
                except OSError:
                    _log.exception("the processor could not be shared out anew")
        finally:
            throttle.close()
