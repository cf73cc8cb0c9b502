"""Folders for test servers that end with the test run, also when that was killed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from factory_core.kernel.supervisor_state import FileLock

__all__ = ["owned_folder"]

_PREFIX = "factory-tests-"


@contextmanager
def owned_folder(stop: Callable[[Path], None]) -> Generator[Path, None, None]:
    """A temporary home. ``stop`` ends what runs in it: at the end, and in the homes that killed test runs left behind."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        _clear_if_left(folder, stop)
    fresh = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}"))
    owner = FileLock(fresh / "owner.lock")
    owner.take()
    folder = fresh.rename(fresh.with_name(fresh.name[1:]))  # seen by others only once it is owned
    try:
        yield folder
    finally:
        stop(folder)
        shutil.rmtree(folder, ignore_errors=True)
        owner.close()


def _clear_if_left(folder: Path, stop: Callable[[Path], None]) -> None:
    if not (folder / "owner.lock").exists():
        return  # of something else, or just being removed
    try:
        owner = FileLock(folder / "owner.lock")
    except OSError:
        return  # another user's
    if owner.take():
        stop(folder)
        shutil.rmtree(folder, ignore_errors=True)
    owner.close()
