"""The stretches of a build, as a specification orders them."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

__all__ = ["Phase", "PhaseOrder", "PhaseTask"]


class PhaseOrder(StrEnum):
    PARALLEL = "parallel"
    SEQUENTIAL = "sequential"


class PhaseTask(Struct, frozen=True, kw_only=True):
    """A named piece of work of ``phases``/``dependency_graph``. ``after`` may name tasks or whole phases."""

    name: str
    after: tuple[str, ...] = ()
    line: int = 0


class Phase(Struct, frozen=True, kw_only=True):
    """A stretch of the build. A blocking phase ends with a barrier."""

    name: str
    order: PhaseOrder
    tasks: tuple[PhaseTask, ...]
    blocking: bool = True
    window_minutes: tuple[int, int] | None = None
    line: int = 0
