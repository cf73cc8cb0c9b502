"""Control groups, where the host lets us make them: bounds of a whole sandbox, and its share of the processor.

A sandbox's group lies in the group of its project, and that one in its organisation's, so that the kernel divides the
processor by their weights, however many sandboxes each has. All worker processes of a host share those groups: each makes
them when it needs them, and whoever finds them empty takes them away.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from factory_core.contracts.sandbox import HostShare

__all__ = [
    "SHARED",
    "ControlGroup",
    "Place",
    "find_place",
    "make_group",
    "processor_seconds",
    "share_folder",
    "sweep",
    "what_is_missing",
]

PREFIX = "factory-"
SHARED = f"{PREFIX}of-"
"""What the names of groups of organisations and projects begin with."""
ROOT = Path("/sys/fs/cgroup")
HEAVIEST = 100
"""The kernel's weights go no further than a hundred times the usual one."""
TRIES = 100
"""How often a group is made anew that others took away before anything was in it."""
TAKEN_AWAY = {errno.ENOENT, errno.ENODEV, errno.EBUSY}
"""What the kernel says of a group that is gone, or going."""
_numbers = itertools.count()


class Place(Struct, frozen=True):
    """Where groups are made: folders of their own in cgroup v1, one and the same in v2."""

    memory: Path
    pids: Path
    cpu: Path | None = None
    """None: where the processor cannot be shared out, a sandbox with many processes gets more of it."""
    account: Path | None = None
    """Where the time used is counted, often the same as ``cpu``; None: nowhere."""
    nested: bool = True
    """Whether groups can be made in groups; if not, nothing is shared out by organisation and project."""

    @property
    def folders(self) -> tuple[Path, ...]:
        """Each once."""
        found = (self.memory, self.pids, self.cpu, self.account)
        return tuple(dict.fromkeys(folder for folder in found if folder))


class ControlGroup:
    """One group for one sandbox, in those of the shares it belongs to. Raises OSError where the host refuses a part of
    it."""

    def __init__(
        self, place: Place, name: str, *, memory: int, processes: int, shares: Sequence[HostShare] = ()
    ) -> None:
        self._shares = tuple(shares) if place.nested else ()
        self._place = place
        self._names = (*map(_shared_name, self._shares), name)
        self._memory = place.memory.joinpath(*self._names)
        self._folders = tuple(folder.joinpath(*self._names) for folder in place.folders)
        try:
            for folder in place.folders:
                _make(folder, self._names)
            if place.memory == place.pids:
                wanted = ("memory", "pids", "cpu") if place.cpu else ("memory", "pids")
                for folder in self._above(place.memory):
                    _hand_down(folder, wanted)
            if place.cpu and _weight_file(place.cpu.joinpath(*self._names)) is None:
                raise FileNotFoundError(errno.ENOENT, "no share of the processor", str(place.cpu))
            self._share()
            self._limit(memory, place.pids.joinpath(*self._names), processes)
        except OSError:
            self.remove()
            raise

    def _above(self, root: Path) -> list[Path]:
        """The groups that this one lies in, outermost first."""
        return [root.joinpath(*self._names[:depth]) for depth in range(len(self._names))]

    def _share(self) -> None:
        """Set anew each time: who set it last knew best. A sandbox itself weighs as much as any other of its project."""
        for depth, share in enumerate(self._shares, 1):
            names = self._names[:depth]
            _bound_memory(self._place.memory.joinpath(*names), share.max_memory)
            file = _weight_file(self._place.cpu.joinpath(*names)) if self._place.cpu else None
            if file is not None:
                usual = 100 if file.name == "cpu.weight" else 1024
                file.write_text(str(usual * min(share.weight, HEAVIEST)))

    def _limit(self, memory: int, pids: Path, processes: int) -> None:
        unified = (self._memory / "memory.max").exists()
        (self._memory / ("memory.max" if unified else "memory.limit_in_bytes")).write_text(str(memory))
        swap = {"memory.swap.max": "0", "memory.oom.group": "1", "memory.memsw.limit_in_bytes": str(memory)}
        for file, value in swap.items():
            if (self._memory / file).exists():
                (self._memory / file).write_text(value)
        (pids / "pids.max").write_text(str(processes))

    def weigh(self, shares: Sequence[HostShare]) -> None:
        """Set weights and bounds of the groups above anew, for all that is in them; the shares are those it was made with,
        under the same names. Raises OSError."""
        if self._shares:
            self._shares = tuple(shares)
            self._share()

    def processor_seconds(self) -> float | None:
        """What all in it used of the processor; None where that is not counted. Raises OSError when it is gone."""
        root = self._place.account
        return processor_seconds(root.joinpath(*self._names)) if root else None

    def memory_held(self) -> int:
        """Bytes, those of files that the kernel keeps for it included. Raises OSError when it is gone."""
        unified = self._memory / "memory.current"
        file = unified if unified.exists() else self._memory / "memory.usage_in_bytes"
        return int(file.read_text())

    def add(self, pid: int) -> None:
        """Put a process, and all it will start, under the limits."""
        for folder in self._folders:
            (folder / "cgroup.procs").write_text(str(pid))

    def memory_ran_out(self) -> bool:
        """Whether the kernel killed something in it for memory, its own or that of all its project or organisation."""
        for file in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError):
                words = (self._memory / file).read_text().split()
                return int(words[words.index("oom_kill") + 1]) > 0
        return False

    def forks_refused(self) -> int:
        """How often something in it asked for a process more than it may have; 0 where the kernel does not say, or where
        the limit that was met must be another's: it has not half of the processes that it may have."""
        folder = self._place.pids.joinpath(*self._names)
        with contextlib.suppress(OSError, ValueError):
            words = (folder / "pids.events").read_text().split()
            refused = int(words[words.index("max") + 1])
            there, most = (int((folder / name).read_text()) for name in ("pids.current", "pids.max"))
            return refused if 2 * there >= most else 0
        return 0

    def remove(self) -> bool:
        """Take the group away, and whether it is gone; it stays while something in it has not quite ended. The groups
        above go with the last in them."""
        for folder in self._folders:
            with contextlib.suppress(OSError):
                folder.rmdir()
        if any(folder.exists() for folder in self._folders):
            return False
        for root in self._place.folders:
            with contextlib.suppress(OSError):  # another sandbox is in it
                for folder in reversed(self._above(root)[1:]):
                    folder.rmdir()
        return True


def share_folder(root: Path, shares: Sequence[HostShare]) -> Path:
    """The group of the last of the shares, which lies in those of the others."""
    return root.joinpath(*map(_shared_name, shares))


def processor_seconds(group: Path) -> float:
    """What all in the group used of the processor since it was made. ``group`` lies in a place's ``account``."""
    with contextlib.suppress(FileNotFoundError):
        return int((group / "cpuacct.usage").read_text()) / 1e9
    words = (group / "cpu.stat").read_text().split()
    return int(words[words.index("usage_usec") + 1]) / 1e6


def _shared_name(share: HostShare) -> str:
    """Whose share it is may be any text, so only its digest becomes a path."""
    return SHARED + hashlib.sha256(share.name.encode()).hexdigest()[:24]


def _make(root: Path, names: Sequence[str]) -> None:
    """The last of the groups and those above it. As long as it is there, nobody can take those away."""
    for _ in range(TRIES):
        try:
            for depth in range(1, len(names)):
                with contextlib.suppress(FileExistsError):
                    root.joinpath(*names[:depth]).mkdir()
                _count_with_children(root.joinpath(*names[:depth]))
            root.joinpath(*names).mkdir()
        except OSError as error:
            if error.errno not in TAKEN_AWAY:
                raise
        else:
            return
    raise FileNotFoundError(errno.ENOENT, "others keep taking it away", str(root.joinpath(*names)))


def _count_with_children(folder: Path) -> None:
    """Kernels before 5.11 bound what is in a group without the groups below it unless told otherwise."""
    file = folder / "memory.use_hierarchy"
    if file.exists() and file.read_text().strip() == "0":
        file.write_text("1")


def _weight_file(folder: Path) -> Path | None:
    files = (folder / "cpu.weight", folder / "cpu.shares")
    return next((file for file in files if file.exists()), None)


def _bound_memory(folder: Path, most: int | None) -> None:
    """For all the group's sandboxes together. Version 1 refuses a bound below what is held: the next to start tries it
    again."""
    if (folder / "memory.max").exists():
        (folder / "memory.max").write_text("max" if most is None else str(most))
        return
    files = [folder / "memory.limit_in_bytes", folder / "memory.memsw.limit_in_bytes"]
    files = [file for file in files if file.exists()]
    for order in (files, files[::-1]):  # memory alone may never have the higher bound
        try:
            for file in order:
                file.write_text("-1" if most is None else str(most))
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EBUSY):
                raise
        else:
            return


def _hand_down(folder: Path, controllers: tuple[str, ...]) -> None:
    """Let groups below have these, each by itself: some may be there already. Cgroup v2 only; raises OSError."""
    control = folder / "cgroup.subtree_control"
    given = control.read_text().split()
    for name in controllers:
        if name not in given:
            control.write_text(f"+{name}")


@cache
def find_place() -> Place | None:
    """Where a group with both limits can be made, with a share of the processor and for each organisation and project if
    anywhere, tried with a process of ours; None = nowhere."""
    tried = (each for place in _places() for each in (place, replace(place, nested=False)))
    return next(filter(_works, tried), None)


def _works(place: Place) -> bool:
    name = f"{PREFIX}{os.getpid()}-trial"
    shares = (HostShare(name=name), HostShare(name=name))
    try:
        group = ControlGroup(place, name, memory=64 << 20, processes=16, shares=shares)
    except OSError:
        return False
    try:
        with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, env={}) as trial:
            group.add(trial.pid)
    except OSError:
        return False
    else:
        return True
    finally:
        group.remove()


def make_group(*, memory: int, processes: int, shares: Sequence[HostShare] = ()) -> ControlGroup | None:
    """A fresh group, or None where the host lets us make none."""
    place = find_place()
    if place is None:
        return None
    name = f"{PREFIX}{os.getpid()}-{next(_numbers)}"
    return ControlGroup(place, name, memory=memory, processes=processes, shares=shares)


def what_is_missing() -> str:
    """What cannot be shared out on this host and what to do about it; empty: nothing."""
    place = find_place()
    if place is None:
        lost = (
            "none can be made: processes and memory of a sandbox are counted from outside, and neither processor nor "
            "memory is shared out by organisation and project"
        )
    elif place.cpu is None:
        lost = "the processor cannot be shared out: a sandbox with many processes gets more of it"
    elif not place.nested:
        lost = "none can be made in another: each sandbox gets as much as any other, whosever it is"
    else:
        return ""
    return (
        f"{lost}. Run the workers as root; or as a systemd service with Delegate=yes and DelegateSubgroup=workers; or in a "
        "container that may write to /sys/fs/cgroup, in a group below its own."
    )


def sweep() -> None:
    """Take away what killed processes of the studio left behind."""
    place = find_place()
    for folder in place.folders if place else ():
        _sweep(folder)


def _sweep(folder: Path) -> None:
    for group in folder.glob(f"{PREFIX}*-*"):
        if group.name.startswith(SHARED):
            _sweep(group)
        elif Path("/proc", group.name.removeprefix(PREFIX).partition("-")[0]).exists():
            continue
        with contextlib.suppress(OSError):
            group.rmdir()


def _places() -> Iterator[Place]:
    """Our own group and those above it, nearest first: a group that holds processes may have no limited children."""
    mine = _memberships()
    if "memory" in mine and "pids" in mine:
        for memory in _upwards(mine["memory"]):
            for pids in _upwards(mine["pids"]):
                plain = Place(ROOT / "memory" / memory, ROOT / "pids" / pids)
                for cpu in _upwards(mine["cpu"]) if "cpu" in mine else ():
                    # Under both names the kernel has one folder where it counts with the share.
                    shared = replace(plain, cpu=(ROOT / "cpu" / cpu).resolve())
                    for account in _upwards(mine["cpuacct"]) if "cpuacct" in mine else ():
                        yield replace(shared, account=(ROOT / "cpuacct" / account).resolve())
                    yield shared
                yield plain
    for folder in _upwards(mine.get("", "/")):
        yield Place(ROOT / folder, ROOT / folder, ROOT / folder, ROOT / folder)
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
