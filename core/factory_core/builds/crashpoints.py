"""Places where a test may kill the process, to prove that it does not matter."""

from __future__ import annotations

import os
from typing import Literal, get_args

__all__ = ["POINTS", "CrashPoints", "Point"]

Point = Literal["after_claim", "before_blob", "after_blob", "before_commit", "after_commit", "before_publish"]
POINTS: tuple[Point, ...] = get_args(Point)


class CrashPoints:
    """Does nothing unless armed with ``name`` or ``name:n``: then the n-th passage ends the process without goodbye."""

    EXIT_CODE = 70

    def __init__(self, armed: str = "") -> None:
        name, _, count = armed.partition(":")
        if name and name not in POINTS:
            raise ValueError(f"There is no crash point {name!r}; there are {', '.join(POINTS)}.")
        self._name = name
        self._left = int(count or 1)

    def reach(self, point: Point) -> None:
        """Pass the point, or die there."""
        if point != self._name:
            return
        self._left -= 1
        if self._left == 0:
            os._exit(self.EXIT_CODE)
