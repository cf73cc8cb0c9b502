"""Works quietly for a while: forks, writes, allocates. Exits with 0 when nothing got in its way."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

__all__ = ["work"]

PAUSE = 0.02


def work(seconds: float) -> None:
    """Raises OSError or MemoryError when disturbed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (child := os.fork()) == 0:
            os._exit(0)
        os.waitpid(child, 0)
        Path("/work/quiet").write_bytes(bytes(1 << 20))
        time.sleep(PAUSE)


if __name__ == "__main__":
    work(float(sys.argv[1]))
