"""Where the servers' Unix sockets lie."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

__all__ = ["leave", "socket_folder"]

# The kernel's limit for a socket's path (107 bytes on Linux, 103 on macOS), less the longest name put into the folder.
_LONGEST = 103 - len("/.s.PGSQL.5432")
# PostgreSQL and its clients read lists of folders, in which commas and quotes mean something.
_PLAIN = re.compile(r"/[A-Za-z0-9_./ +~-]*")


def socket_folder(home: Path) -> Path:
    """A folder only this user can enter, the same one each time for one home, short enough for a socket."""
    run = home.resolve() / "run"
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    run.chmod(0o700)
    if len(os.fsencode(run)) <= _LONGEST and _PLAIN.fullmatch(str(run)):
        return run
    return _short_folder(run / "sockets")


def leave(home: Path) -> None:
    """Remove the folder if it lies outside the home and holds nothing; it is made again when needed."""
    with suppress(OSError):
        (home.resolve() / "run" / "sockets").readlink().rmdir()


def _short_folder(record: Path) -> Path:
    """The folder the symlink ``record`` names, made anew when it is gone or not ours."""
    for _ in range(10):
        if record.is_symlink() and _is_private(record.readlink()):
            return record.readlink()
        record.unlink(missing_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="factory-", dir=_short_parent()))
        try:
            record.symlink_to(folder)  # refuses an existing name: of two who try, one wins
        except FileExistsError:
            folder.rmdir()
    return record.readlink()


def _short_parent() -> str:
    """The temporary folder, unless it is itself too deep."""
    default = tempfile.gettempdir()
    return default if len(os.fsencode(default)) < 60 and _PLAIN.fullmatch(default) else "/tmp"  # noqa: S108 (mkdtemp)


def _is_private(folder: Path) -> bool:
    """Whether it is a real folder of this user that nobody else may enter; made if it does not exist."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        facts = folder.lstat()
    except OSError:
        return False
    return not folder.is_symlink() and facts.st_uid == os.geteuid() and facts.st_mode & 0o077 == 0
