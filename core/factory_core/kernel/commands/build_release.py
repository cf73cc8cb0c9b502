"""``--onto``: the release that a build stands on, as it is named on the command line."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from uuid import UUID

__all__ = ["ONTO_HELP", "named_release"]

ONTO_HELP = (
    "Keep the migrations of an earlier release and add one that leads to the new tables. RELEASE is a build's id, newest, "
    "an archive that a build handed out, or a folder that holds one or was unpacked from one."
)
LONGEST_FILE = 16 * 1024 * 1024


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
    """The files of an unpacked artifact, but for what begins with a dot (``.git``, ``.venv``) and for links."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(folder.rglob("*")):
            parts = path.relative_to(folder).parts
            hidden = any(part.startswith(".") for part in parts)
            if (
                not hidden
                and path.is_file()
                and not path.is_symlink()
                and path.stat().st_size <= LONGEST_FILE
            ):
                archive.write(path, "/".join(("release", *parts)))
    return packed.getvalue()
