"""Which names an agent may give its files."""

from __future__ import annotations

from collections.abc import Iterable

from factory_core.contracts.files import Produced
from factory_core.errors import FactoryError

__all__ = ["PathRefused", "check_path", "check_produced"]

LONGEST_PATH = 240


class PathRefused(FactoryError):
    """A file name that could leave the project, or mean something else on another system."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(
            f"The path {path!r} is refused: {reason}. The agent that made it must name it otherwise."
        )


def check_path(path: str) -> None:
    """Raises PathRefused unless it is a clean relative POSIX path outside ``.git``."""
    parts = path.split("/")
    if not path or len(path) > LONGEST_PATH:
        raise PathRefused(path, f"it is empty or longer than {LONGEST_PATH} characters")
    if any(ord(character) < 32 or character in '\\:*?"<>|\x7f' for character in path):
        raise PathRefused(path, "it has a character that not every system allows")
    if any(part in ("", ".", "..") or part != part.strip() for part in parts):
        raise PathRefused(path, "a part of it is empty, '.', '..' or padded with blanks")
    if any(part.casefold() == ".git" for part in parts):
        raise PathRefused(path, "it is inside .git")


def check_produced(files: Iterable[Produced]) -> None:
    """Raises PathRefused for the first bad path, or for two that differ in case alone."""
    seen: set[str] = set()
    for file in files:
        check_path(file.path)
        if file.path.casefold() in seen:
            raise PathRefused(file.path, "another file has this name already")
        seen.add(file.path.casefold())
