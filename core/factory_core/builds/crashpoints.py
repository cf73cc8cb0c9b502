"""Places where a test may kill the process, to prove that it does not matter."""

from __future__ import annotations

import os
from typing import Literal, get_args

__all__ = ["POINTS", "UPKEEP_POINTS", "CrashPoints", "Point", "UpkeepPoint"]

Point = Literal["after_claim", "before_blob", "after_blob", "before_commit", "after_commit", "before_publish"]
POINTS: tuple[Point, ...] = get_args(Point)
UpkeepPoint = Literal["events_stored", "events_moved", "rows_stored", "rows_moved"]
"""Events, or rows, of a build are in a file and still in the tables; they are gone from the tables."""
UPKEEP_POINTS: tuple[UpkeepPoint, ...] = get_args(UpkeepPoint)


class CrashPoints:
    """Does nothing unless armed with ``name`` or ``name:n``: then the n-th passage ends the process without goodbye."""

    EXIT_CODE = 70

    def __init__(self, armed: str = "") -> None:
        name, _, count = armed.partition(":")
        known = (*POINTS, *UPKEEP_POINTS)
        if name and name not in known:
            raise ValueError(f"There is no crash point {name!r}; there are {', '.join(known)}.")
        self._name = name
        self._left = int(count or 1)

    def reach(self, point: Point | UpkeepPoint) -> None:
        """Pass the point, or die there."""
        if point != self._name:
            return
        self._left -= 1
        if self._left == 0:
            os._exit(self.EXIT_CODE)
