"""Reads what a sandbox hands back, which is never trusted: sizes, names and the form itself are checked."""

from __future__ import annotations

import contextlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import msgspec
from msgspec import Struct

__all__ = ["MOST_FILES", "Report", "read_report", "unpack"]

MOST_FILES = 20_000
LONGEST_INDEX = 8 << 20


class Report(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``files`` holds path, size and whether it is executable, in the order of the contents that follow."""

    exit: int
    files: tuple[tuple[str, int, bool], ...]


def read_report(stream: BinaryIO) -> Report | None:
    """What the carrier wrote once the command had ended; None when it did not get that far, or when something else wrote
    in its place."""
    line = stream.readline(LONGEST_INDEX)
    try:
        report = msgspec.json.decode(line, type=Report)
    except msgspec.MsgspecError:
        return None
    if len(report.files) > MOST_FILES or not all(
        _is_sane(path) and size >= 0 for path, size, _ in report.files
    ):
        return None
    return report


def unpack(report: Report, stream: BinaryIO, work: Path) -> None:
    """Write the files into ``work``, never through a symbolic link. What would replace a folder by a file, or a file
    by a folder, stays behind."""
    for path, size, executable in report.files:
        content = stream.read(size)
        target = work / path
        if len(content) != size:
            return
        with contextlib.suppress(FileExistsError, NotADirectoryError, IsADirectoryError):
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.parent.resolve().is_relative_to(work.resolve()):
                target.unlink(missing_ok=True)
                target.write_bytes(content)
                target.chmod(0o755 if executable else 0o644)


def _is_sane(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and "\0" not in path
