"""What the sandboxes of this process take of the host, and for whom, as the kernel counts it in their control groups."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from msgspec import Struct

from factory_core.contracts.sandbox import HostShare
from factory_core.sandbox.cgroups import ControlGroup

__all__ = ["LEDGER", "Ledger", "Names", "Taken", "weigh"]

Names = tuple[str, ...]
"""Of the shares that a sandbox belongs to, outermost first."""


class Taken(Struct, frozen=True):
    """``seconds`` of processor since the last time it was asked, ``memory`` held now in bytes."""

    seconds: float
    memory: int


class _Live(Struct):
    names: Names
    counted: float = 0.0
    """Seconds of it that are in the books."""


class Ledger:
    """Counts groups from their start to their end; what was used in between is counted whenever it is asked."""

    def __init__(self) -> None:
        self._live: dict[ControlGroup, _Live] = {}
        self._spent: dict[Names, float] = {}

    def enter(self, group: ControlGroup, shares: Sequence[HostShare]) -> None:
        """A sandbox begins. One that nobody has a share of is not counted."""
        if shares:
            self._live[group] = _Live(tuple(share.name for share in shares))

    def leave(self, group: ControlGroup) -> None:
        """It is over; its group is still there to be read."""
        if group in self._live:
            self._count(group)
            del self._live[group]

    def running(self) -> dict[Names, ControlGroup]:
        """Whose sandboxes run, and the group of one of them: all of the same names lie in the same groups."""
        return {live.names: group for group, live in self._live.items()}

    def take(self) -> dict[Names, Taken]:
        """What was taken since the last time, of those who took or hold anything. Where the host counts no processor time
        there is nothing to tell."""
        held: dict[Names, int] = {}
        for group, live in self._live.items():
            if self._count(group):
                held[live.names] = held.get(live.names, 0) + _memory(group)
        spent, self._spent = self._spent, {}
        return {
            names: Taken(spent.get(names, 0.0), held.get(names, 0))
            for names in sorted(spent.keys() | held.keys())
        }

    def put_back(self, taken: Mapping[Names, Taken]) -> None:
        """It could not be told; the next to ask gets it."""
        for names, each in taken.items():
            self._spent[names] = self._spent.get(names, 0.0) + each.seconds

    def _count(self, group: ControlGroup) -> bool:
        live = self._live[group]
        with contextlib.suppress(OSError):
            used = group.processor_seconds()
            if used is not None:
                self._spent[live.names] = self._spent.get(live.names, 0.0) + used - live.counted
                live.counted = used
                return True
        return False


def weigh(groups: Mapping[Names, ControlGroup], shares: Mapping[Names, Sequence[HostShare]]) -> None:
    """Set the shares of sandboxes that run anew. It may take a while: the kernel makes room below a lowered limit first."""
    for names, group in groups.items():
        if names in shares:
            with contextlib.suppress(
                OSError
            ):  # it is ending, or the host refuses: the next to start tries it again
                group.weigh(shares[names])


def _memory(group: ControlGroup) -> int:
    with contextlib.suppress(OSError):
        return group.memory_held()
    return 0


LEDGER = Ledger()
"""Of all sandboxes of this process."""
