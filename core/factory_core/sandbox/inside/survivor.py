"""Leaves a process behind: forked twice, in a session of its own, under the name it is given."""

from __future__ import annotations

import os
import signal
import sys

__all__ = ["leave_behind"]

LONG = "600"


def leave_behind(name: str) -> None:
    """Return when the process runs."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            # The pipe closes when the new program has started.
            os.execv("/bin/sleep", [name, LONG])  # noqa: S606 - a shell has no part in it
        os._exit(0)
    os.close(writer)
    os.read(reader, 1)
    os.write(1, b"left behind\n")


if __name__ == "__main__":
    leave_behind(sys.argv[1])
    if sys.argv[2] == "stay":
        signal.pause()
