"""Storage: where blobs and artifacts are kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Protocol

from msgspec import Struct

__all__ = ["ObjectInfo", "Storage"]


class ObjectInfo(Struct, frozen=True, kw_only=True):
    key: str
    size: int
    modified: datetime


class Storage(Protocol):
    """Keeps objects under keys such as ``blobs/ab/cdef…``. Keys are relative, ``/``-separated, without ``..``.

    Contract suite: ``factory_core.testing.storage.StorageContract``."""

    name: str

    async def put(self, key: str, data: bytes | AsyncIterator[bytes]) -> int:
        """Store and return the size. The object appears whole or not at all; an existing key is replaced. Once it returns,
        the object is as safe as the storage can make it: on a disk, it outlives a power cut."""
        ...

    async def get(self, key: str) -> bytes:
        """The whole object. Raises ObjectMissing."""
        ...

    def stream(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes ``start`` to ``end`` (exclusive). Raises ObjectMissing, also when first iterated."""
        ...

    async def head(self, key: str) -> ObjectInfo | None:
        """Size and time, or None. What is there is as safe as ``put`` makes it, whoever put it."""
        ...

    async def delete(self, key: str) -> bool:
        """Remove it; whether it was there."""
        ...

    def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """Objects whose key starts with ``prefix``, a whole path segment."""
        ...
