"""Runs inside the sandbox, before and after the command: copies the inputs into the size-limited work folder, lays the
limits on the command, and hands what it left behind to the host through a pipe.

Standard library only, started with ``-I -S``; it shares the sandbox with the command and is trusted no more than it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shutil
import signal
import stat
import sys
from pathlib import Path
from typing import Any

__all__ = ["GO", "INPUTS", "STARTED", "WORK", "main", "pattern"]

INPUTS = "/inputs"
WORK = "/work"
STARTED = b"started\n"
GO = b"1"
CANNOT_COPY = 125
NOT_FOUND = 127

Stamp = tuple[int, int, int]


def main(order: dict[str, Any]) -> None:
    """Carry in, run, carry out."""
    if os.read(order["go"], 1) != GO:
        return  # the studio died before it set the limits
    os.close(order["go"])
    with os.fdopen(order["report"], "wb") as report:
        report.write(STARTED)
        report.flush()
        try:
            shutil.copytree(INPUTS, WORK, symlinks=True, dirs_exist_ok=True)
        except (OSError, shutil.Error) as error:
            sys.stderr.write(f"The inputs do not fit in the work folder: {error}\n")
            send(report, CANNOT_COPY, [])
            return
        before = files_below(WORK)
        code = run(order["command"], order["limits"])
        # Whatever the command left running must not change the files while they are read.
        with contextlib.suppress(OSError):
            os.kill(-1, signal.SIGKILL)
        wanted = [re.compile(pattern(glob)) for glob in order["collect"]]
        changed = [path for path, stamp in files_below(WORK).items() if before.get(path) != stamp]
        send(report, code, sorted(path for path in changed if any(glob.fullmatch(path) for glob in wanted)))


def run(command: list[str], limits: dict[str, int]) -> int:
    """The command's exit code, negative for a signal."""
    pid = os.fork()
    if pid == 0:
        try:
            for name, value in limits.items():
                resource.setrlimit(getattr(resource, name), (value, value))
            os.execvp(command[0], command)  # noqa: S606 - a shell has no part in it
        except (OSError, ValueError) as error:
            os.write(2, f"{command[0]}: {error}\n".encode())
        finally:
            os._exit(NOT_FOUND)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def files_below(top: str) -> dict[str, Stamp]:
    """Regular files, never through a symbolic link, with what tells a changed one."""
    found: dict[str, Stamp] = {}
    for folder, _, names in os.walk(top):
        for name in names:
            path = Path(folder, name)
            with contextlib.suppress(OSError):
                status = path.lstat()
                if stat.S_ISREG(status.st_mode):
                    found[str(path.relative_to(top))] = (status.st_size, status.st_mtime_ns, status.st_ino)
    return found


def send(report: Any, code: int, paths: list[str]) -> None:
    """One line of JSON, then the contents in its order."""
    index: list[tuple[str, int, bool]] = []
    contents: list[bytes] = []
    for path in paths:
        with contextlib.suppress(OSError, UnicodeEncodeError):
            path.encode()
            contents.append(Path(WORK, path).read_bytes())
            index.append((path, len(contents[-1]), os.access(Path(WORK, path), os.X_OK)))
    report.write(json.dumps({"exit": code, "files": index}).encode() + b"\n")
    for content in contents:
        report.write(content)


def pattern(glob: str) -> str:
    """A regular expression for a path glob: ``**`` crosses folders, ``*`` and ``?`` do not."""
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces = re.split(r"(\*\*/|\*\*|\*|\?)", glob)
    return "".join(words.get(piece, re.escape(piece)) for piece in pieces)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
