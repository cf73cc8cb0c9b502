"""Starting programs from a process with threads and an event loop.

uvloop forks and lets the interpreter tidy up in the child. In CPython 3.11 that waits for ever when a thread of some library
was just being made known to the interpreter (gh-112275), and the event loop waits for the child. ``subprocess`` leaves the
interpreter out of it, as long as there is no ``preexec_fn``.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

__all__ = ["ended", "start_program"]

LOOK_AGAIN_SECONDS = 0.05
Stream = int | IO[bytes] | None
"""A file descriptor, or one of subprocess's words for what there is instead."""


def start_program(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: str | Path | None = None,
    stdin: Stream = subprocess.DEVNULL,
    stdout: Stream = subprocess.DEVNULL,
    stderr: Stream = subprocess.DEVNULL,
    lent: Iterable[int] = (),
    session: bool = False,
) -> subprocess.Popen[bytes]:
    """Start it with exactly this environment. ``lent`` are file descriptors that it inherits under their numbers; with
    ``session`` it gets one of its own. Wait for it with ``ended``. Raises OSError."""
    return subprocess.Popen(
        command,
        env=dict(environment),
        cwd=folder,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=tuple(lent),
        start_new_session=session,
        bufsize=0,
    )


async def ended(program: subprocess.Popen[bytes]) -> int:
    """Its exit code, once it has one; negative for a signal."""
    if program.returncode is not None:
        return program.returncode
    try:
        pidfd = os.pidfd_open(program.pid)
    except OSError:  # no more files may be open; it is waited for all the same
        while (code := program.poll()) is None:  # noqa: ASYNC110 - another process ends
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
        return code
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    try:
        loop.add_reader(pidfd, gone.set)
        await gone.wait()
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)
    return program.wait()
