"""How much a worker takes at once, steered by how long the database needs."""

from __future__ import annotations

import math
from collections import deque

__all__ = ["Window"]

LATE = 0.05
"""Seconds of a step that are too many, at the 95th percentile."""
MEMORY = 20
"""Steps it is judged by."""


class Window:
    """Halves when steps are slow, grows by one otherwise; never over ``most``, never under one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._seconds: deque[float] = deque(maxlen=MEMORY)
        self.size = most

    def note(self, seconds: float) -> None:
        """A step took this long."""
        self._seconds.append(seconds)
        ordered = sorted(self._seconds)
        if ordered[math.ceil(len(ordered) * 0.95) - 1] > LATE:
            # Judged anew at its new size: what was slow before is no sign that half is too much.
            self._seconds.clear()
            self.size = max(1, self.size // 2)
        else:
            self.size = min(self._most, self.size + 1)
