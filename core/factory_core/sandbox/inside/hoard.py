"""Takes more memory with many processes than one may have. Exits with 0 when all of them got theirs."""

from __future__ import annotations

import mmap
import os
import signal
import sys

__all__ = ["hoard"]


def hoard(processes: int, size: int) -> bool:
    """Whether every process holds ``size`` bytes at the same time."""
    reader, writer = os.pipe()
    children = [child for _ in range(processes) if (child := start(writer, size))]
    os.close(writer)
    got = 0
    while got < processes and os.read(reader, 1):
        got += 1
    for child in children:
        os.kill(child, signal.SIGKILL)
    return got == processes


def start(writer: int, size: int) -> int:
    """A process that takes its share, says so, and keeps it."""
    child = os.fork()
    if child == 0:
        try:
            block = mmap.mmap(-1, size)
            for offset in range(0, size, mmap.PAGESIZE):
                block[offset] = 1
            os.write(writer, b".")
            os.close(writer)
            signal.pause()
        finally:
            os._exit(1)
    return child


if __name__ == "__main__":
    sys.exit(0 if hoard(int(sys.argv[1]), int(sys.argv[2])) else 1)
