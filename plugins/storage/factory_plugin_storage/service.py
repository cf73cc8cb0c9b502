"""Storage on obstore: in a folder, or in memory for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import cached_property
from pathlib import Path

import obstore
from obstore.store import LocalStore, MemoryStore

from factory_core.contracts.storage import ObjectInfo
from factory_core.errors import ObjectMissing

from .files import Upload, keep_name, make_folder, write_file
from .keys import check_key

__all__ = ["LocalStorage", "MemoryStorage"]

_CHUNK = 1 << 20


class ObjectStorage:
    """The contract over any obstore store; obstore makes every put atomic."""

    name: str

    def __init__(self, make: Callable[[], LocalStore | MemoryStore]) -> None:
        self._make = make

    @cached_property
    def _store(self) -> LocalStore | MemoryStore:
        return self._make()

    async def put(self, key: str, data: bytes | AsyncIterator[bytes]) -> int:
        """Store and return the size."""
        check_key(key)
        if isinstance(data, bytes):
            await obstore.put_async(self._store, key, data, use_multipart=False)
            return len(data)
        size = 0

        async def counted() -> AsyncIterator[bytes]:
            nonlocal size
            async for part in data:
                size += len(part)
                yield part

        await obstore.put_async(self._store, key, counted())
        return size

    async def get(self, key: str) -> bytes:
        """The whole object."""
        try:
            found = await obstore.get_async(self._store, check_key(key))
            return bytes(await found.bytes_async())
        except (FileNotFoundError, IsADirectoryError):
            raise ObjectMissing(key) from None

    async def stream(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of a range, in parts of about a mebibyte."""
        info = await self._found(key)
        if info is None:
            raise ObjectMissing(key)
        end = info.size if end is None else min(end, info.size)
        if start >= end:
            return
        try:
            found = await obstore.get_async(self._store, key, options={"range": (start, end)})
        except FileNotFoundError:
            raise ObjectMissing(key) from None
        async for part in found.stream(_CHUNK):
            yield bytes(part)

    async def head(self, key: str) -> ObjectInfo | None:
        """Size and time, or None."""
        return await self._found(key)

    async def _found(self, key: str) -> ObjectInfo | None:
        try:
            meta = await obstore.head_async(self._store, check_key(key))
        except FileNotFoundError:
            return None
        return ObjectInfo(key=key, size=meta["size"], modified=meta["last_modified"])

    async def delete(self, key: str) -> bool:
        """Remove it; whether it was there."""
        if await self._found(key) is None:
            return False
        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return False  # somebody else was faster
        return True

    async def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """Objects below a path."""
        start = check_key(prefix) if prefix else None
        async for batch in obstore.list(self._store, start):  # pyright: ignore[reportUnknownMemberType] (its Arrow form is untyped)
            for meta in batch:
                yield ObjectInfo(key=meta["path"], size=meta["size"], modified=meta["last_modified"])


class LocalStorage(ObjectStorage):
    """Files in a folder, which is made when first used. What was put outlives a power cut."""

    name = "local"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(lambda: LocalStore(make_folder(folder)))

    async def put(self, key: str, data: bytes | AsyncIterator[bytes]) -> int:
        """Store and return the size."""
        check_key(key)
        if isinstance(data, bytes):
            await asyncio.to_thread(write_file, self.folder, key, data)
            return len(data)
        upload = await asyncio.to_thread(Upload, self.folder, key)
        try:
            size = 0
            async for part in data:
                size += await asyncio.to_thread(upload.write, part)
            await asyncio.to_thread(upload.finish)
            return size
        finally:
            await asyncio.to_thread(upload.end)

    async def head(self, key: str) -> ObjectInfo | None:
        """Size and time, or None."""
        info = await self._found(key)
        if info is not None:
            # Another may have named it a moment ago, and whoever relies on it does not put it again.
            try:
                await asyncio.to_thread(keep_name, self.folder, self.folder / key)
            except FileNotFoundError:  # its folder has just been removed
                return None
        return info


class MemoryStorage(ObjectStorage):
    """Forgets everything with the process."""

    name = "memory"

    def __init__(self) -> None:
        super().__init__(MemoryStore)
