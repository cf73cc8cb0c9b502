"""How much a worker takes at once, steered by how long the database needs."""

from __future__ import annotations

from collections import deque

__all__ = ["Window"]

LATE = 0.05
"""Seconds of a step that are too many."""
MEMORY = 20
"""Steps it is judged by; one of them may be late, which makes it the 95th percentile."""


class Window:
    """Halves when steps are slow, grows by an eighth otherwise; never over ``most``, never under one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._late: deque[bool] = deque(maxlen=MEMORY)
        self.size = most

    def note(self, seconds: float) -> None:
        """A step took this long."""
        self._late.append(seconds > LATE)
        if sum(self._late) > 1:
            # Judged anew at its new size: what was slow before is no sign that half is too much.
            self._late.clear()
            self.size = max(1, self.size // 2)
        elif seconds <= LATE:
            self.size = min(self._most, self.size + max(1, self.size // 8))
