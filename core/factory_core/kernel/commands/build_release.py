"""``--onto``: the release that a build stands on, as it is named on the command line."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

__all__ = ["ONTO_HELP", "named_release"]

ONTO_HELP = (
    "Keep the migrations of an earlier release and add one that leads to the new tables. RELEASE is a build's id, newest, "
    "an archive that a build handed out, or a folder that holds one or was unpacked from one."
)
INSTALLED = frozenset({"node_modules", "venv", "__pycache__"})
"""Folders that are no part of what was handed out."""


def named_release(onto: str | None) -> tuple[str, bytes]:
    """The build that is named, or the archive. Raises ReleaseUnfit."""
    from factory_core.builds.release import NEWEST, ReleaseUnfit

    if onto is None:
        return "", b""
    if onto == NEWEST or _is_build(onto):
        return onto, b""
    place = Path(onto)
    if place.is_file():
        return "", place.read_bytes()
    if not place.is_dir():
        raise ReleaseUnfit(f"{onto!r} is no build's id, and there is no such file or folder.")
    archives = sorted(place.glob("*.zip"))
    if len(archives) > 1:
        raise ReleaseUnfit(f"{onto} holds {len(archives)} archives: name one of them.")
    return "", archives[0].read_bytes() if archives else _packed(place)


def _is_build(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _packed(folder: Path) -> bytes:
    """The files of an unpacked artifact, but for links, what is installed and what begins with a dot (``.venv``).

    Raises ReleaseUnfit when there is too much of it."""
    from factory_core.builds.release import LONGEST_FILE, MOST_BYTES, ReleaseUnfit

    packed = io.BytesIO()
    total = 0
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in _files(folder):
            if path.stat().st_size > LONGEST_FILE:
                continue
            content = path.read_bytes()
            total += len(content)
            if total > MOST_BYTES:
                raise ReleaseUnfit(f"{folder} holds more than {MOST_BYTES // 1024 // 1024} MiB.")
            parts = path.relative_to(folder).parts
            archive.writestr(zipfile.ZipInfo("/".join(("release", *parts))), content)
    return packed.getvalue()


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in INSTALLED)
        paths = (Path(place, name) for name in sorted(names) if not name.startswith("."))
        yield from (path for path in paths if path.is_file() and not path.is_symlink())
