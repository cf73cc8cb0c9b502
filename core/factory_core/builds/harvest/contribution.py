"""Who made which files, and what no project may hold."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import ClassVar

from msgspec import Struct

from factory_core.builds.paths import PathRefused, check_path
from factory_core.contracts.files import Produced
from factory_core.errors import FactoryError

__all__ = ["Contribution", "TwoOwners", "check_contributions"]

LONGEST_NAME = 255
"""Bytes of one part of a path; what common file systems hold."""


class Contribution(Struct, frozen=True, kw_only=True):
    """What one task made: a commit. ``producer`` is the task's id, ``title`` the subject."""

    producer: str
    title: str
    files: tuple[Produced, ...]
    branch: str = ""
    """The branch it was committed on before that was merged; empty for what went to main directly."""
    revises: bool = False
    """Its files may take the place of files that others made: what was done to the whole after the merges."""


class TwoOwners(FactoryError):
    """Two tasks made the same path, or paths that are one on some systems."""

    status: ClassVar[int] = 409

    def __init__(self, path: str, first: str, second: str) -> None:
        self.path = path
        self.first = first
        self.second = second
        super().__init__(
            f"{first} and {second} both made {path!r}. Every path has one owner: let one of them leave it to the other."
        )


def check_contributions(contributions: Sequence[Contribution]) -> None:
    """Raises PathRefused or TwoOwners unless all files together make a tree on every file system."""
    owners: dict[str, tuple[str, str]] = {}
    folders: dict[str, tuple[str, str]] = {}
    for contribution in contributions:
        names = [file.path for file in contribution.files]
        # Only a path that is there, in exactly this spelling, can be revised.
        known = {path for path, _ in owners.values()} if contribution.revises else set[str]()
        for path in names:
            _check_name(path)
            if path not in known or names.count(path) > 1:
                _claim(path, contribution.producer, owners, folders)
    for key in sorted(owners.keys() & folders.keys()):
        raise TwoOwners(owners[key][0], owners[key][1], folders[key][1])


def _claim(
    path: str, producer: str, owners: dict[str, tuple[str, str]], folders: dict[str, tuple[str, str]]
) -> None:
    key = _folded(path)
    if key in owners:
        raise TwoOwners(path, owners[key][1], producer)
    owners[key] = (path, producer)
    for folder in _folders(path):
        spelled, first = folders.setdefault(_folded(folder), (folder, producer))
        if spelled != folder:
            raise TwoOwners(folder, first, producer)


def _check_name(path: str) -> None:
    check_path(path)
    try:
        parts = [part.encode() for part in path.split("/")]
    except UnicodeEncodeError as error:
        raise PathRefused(path, "it cannot be written in UTF-8") from error
    if any(len(part) > LONGEST_NAME for part in parts):
        raise PathRefused(path, f"a part of it is longer than {LONGEST_NAME} bytes")
    if any(unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") for character in path):
        raise PathRefused(path, "it has a character that cannot be seen")
    for part in path.split("/"):
        # Windows drops dots and blanks at the end, and knows .git by its short name too.
        if part.endswith((".", " ")) or part.casefold() == "git~1":
            raise PathRefused(path, "a part of it means something else on Windows")


def _folders(path: str) -> Iterable[str]:
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts)))


def _folded(path: str) -> str:
    """The path as file systems compare it that ignore case and spelling of accents."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())
