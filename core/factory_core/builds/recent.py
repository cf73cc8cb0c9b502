"""Stored files that were read lately, kept in memory: what one task makes, most of those after it read."""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

__all__ = ["ReadsBlobs", "Recent"]

ROOM = 8 << 20
LARGEST = 1 << 20


class ReadsBlobs(Protocol):
    """What a reader needs of the content-addressed store."""

    async def get(self, digest: str) -> bytes: ...


class Recent:
    """Reads from the store and keeps what it read, up to ``room`` bytes, and nothing of more than ``largest``. The content
    of a digest never changes. That it is read here does not say that it is stored still: who has to know asks the store."""

    def __init__(self, blobs: ReadsBlobs, *, room: int = ROOM, largest: int = LARGEST) -> None:
        self._blobs = blobs
        self._room = room
        self._largest = largest
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._used = 0

    async def get(self, digest: str) -> bytes:
        """The content. Raises ObjectMissing and BlobDamaged, as the store does."""
        content = self._kept.get(digest)
        if content is None:
            content = await self._blobs.get(digest)
        if len(content) <= self._largest:
            self._keep(digest, content)
        return content

    def _keep(self, digest: str, content: bytes) -> None:
        """As what was read last; what was read longest ago makes room."""
        self._used += len(content) - len(self._kept.pop(digest, b""))
        self._kept[digest] = content
        while self._used > self._room:
            _, oldest = self._kept.popitem(last=False)
            self._used -= len(oldest)
