"""Files that travel between agents: named by path, found by content."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["FileRef", "Produced"]


class Produced(Struct, frozen=True, kw_only=True):
    """A file an agent made. ``path`` is relative, POSIX, without ``..``; the kernel refuses anything else."""

    path: str
    content: bytes
    executable: bool = False


class FileRef(Struct, frozen=True, kw_only=True):
    """A file in the content-addressed store. ``digest`` is the SHA-256 of the content in hex."""

    path: str
    digest: str
    size: int
    producer: str
    """Id of the task that made it."""
    executable: bool = False
