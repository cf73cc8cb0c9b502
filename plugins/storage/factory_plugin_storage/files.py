"""Writing files that are there after a power cut: whole, or not at all.

obstore renames a file to its name before the system has written its content, and flushes neither."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

__all__ = ["Upload", "keep_name", "make_folder", "write_file"]


class Upload:
    """A file below a folder that gets its name when all of it is on the disk. Every method may take as long as the disk."""

    def __init__(self, root: Path, key: str) -> None:
        make_folder(root)
        self._root = root
        self._path = root / key
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # As obstore calls what is unfinished, so that it lists no such file.
        self._unfinished = self._path.parent / f"#{uuid4().int}"
        self._file = self._unfinished.open("xb")

    def write(self, part: bytes) -> int:
        """Add this; how much it was."""
        return self._file.write(part)

    def finish(self) -> None:
        """Give it its name; whatever had that name is gone."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._unfinished.replace(self._path)
        keep_name(self._root, self._path)

    def end(self) -> None:
        """Close it, and remove it if it is unfinished."""
        self._file.close()
        self._unfinished.unlink(missing_ok=True)


def write_file(root: Path, key: str, content: bytes) -> None:
    """The whole file at once."""
    upload = Upload(root, key)
    try:
        upload.write(content)
        upload.finish()
    finally:
        upload.end()


def keep_name(root: Path, path: Path) -> None:
    """See that a file stays under its name. Up to the root each time: another process may have made a folder just now, and
    not flushed it yet."""
    for folder in path.parents:
        _flush(folder)
        if folder == root:
            break


def make_folder(folder: Path) -> Path:
    """Make it if it is not there, and those above it, and see that they stay."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _flush(folder.parent)
    return folder


def _flush(folder: Path) -> None:
    """Write the names in a folder to the disk."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
