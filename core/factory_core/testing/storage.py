# ruff: noqa: S101 (a suite is made of assertions)
"""What every storage backend keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from factory_core.contracts.storage import Storage
from factory_core.errors import ObjectMissing, UnsafeKey

__all__ = ["UNSAFE_KEYS", "StorageContract", "chunks", "collect"]

UNSAFE_KEYS = (
    "",
    "/",
    "/etc/passwd",
    "..",
    "../escape",
    "a/../b",
    "a/..",
    ".",
    "a/./b",
    "a//b",
    "a/",
    "a\\b",
    "a\0b",
    "a\nb",
    "C:/a",
    "a" * 2000,
)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    """An upload that arrives in parts."""
    for part in parts:
        yield part


async def collect(stream: AsyncIterator[bytes]) -> bytes:
    """All of a download."""
    return b"".join([part async for part in stream])


@pytest.mark.anyio
class StorageContract:
    """Subclass it with a fixture ``storage`` that gives an empty backend."""

    @pytest.fixture(scope="session")
    @classmethod
    def anyio_backend(cls) -> str:
        return "asyncio"

    async def test_what_was_put_is_got(self, storage: Storage) -> None:
        assert await storage.put("blobs/ab/cdef", b"content") == 7
        assert await storage.get("blobs/ab/cdef") == b"content"

    async def test_an_object_may_be_empty(self, storage: Storage) -> None:
        assert await storage.put("empty", b"") == 0
        assert await storage.get("empty") == b""
        assert await collect(storage.stream("empty")) == b""

    async def test_an_upload_may_arrive_in_parts(self, storage: Storage) -> None:
        large = b"x" * 6_000_000
        assert await storage.put("large", chunks(b"head", large, b"", b"tail")) == len(large) + 8
        assert await storage.get("large") == b"head" + large + b"tail"

    async def test_an_existing_key_is_replaced(self, storage: Storage) -> None:
        await storage.put("key", b"a longer old content")
        await storage.put("key", b"new")
        assert await storage.get("key") == b"new"

    async def test_an_upload_that_breaks_leaves_what_was_there(self, storage: Storage) -> None:
        async def broken() -> AsyncIterator[bytes]:
            yield b"half" * 2_000_000
            raise ConnectionResetError

        await storage.put("kept", b"old")
        for key in ("kept", "never"):
            with pytest.raises(ConnectionResetError):
                await storage.put(key, broken())
        assert await storage.get("kept") == b"old"
        assert await storage.head("never") is None
        assert [found.key async for found in storage.list()] == ["kept"]

    async def test_of_two_writers_one_wins_whole(self, storage: Storage) -> None:
        contents = [bytes([65 + n]) * 500_000 for n in range(4)]
        await asyncio.gather(*(storage.put("raced", content) for content in contents))
        assert await storage.get("raced") in contents

    async def test_a_missing_object_is_named(self, storage: Storage) -> None:
        with pytest.raises(ObjectMissing, match="not/there"):
            await storage.get("not/there")
        with pytest.raises(ObjectMissing, match="not/there"):
            await collect(storage.stream("not/there"))
        assert await storage.head("not/there") is None
        assert await storage.delete("not/there") is False

    @pytest.mark.parametrize(
        ("start", "end", "expected"),
        [
            (0, None, b"0123456789"),
            (3, None, b"3456789"),
            (3, 5, b"34"),
            (0, 0, b""),
            (8, 99, b"89"),
            (10, None, b""),
        ],
    )
    async def test_a_range_excludes_its_end(
        self, storage: Storage, start: int, end: int | None, expected: bytes
    ) -> None:
        await storage.put("digits", b"0123456789")
        assert await collect(storage.stream("digits", start=start, end=end)) == expected

    async def test_head_tells_size_and_time(self, storage: Storage) -> None:
        await storage.put("a/b", b"12345")
        info = await storage.head("a/b")
        assert info is not None
        assert (info.key, info.size) == ("a/b", 5)
        assert info.modified.tzinfo is not None

    async def test_a_folder_is_no_object(self, storage: Storage) -> None:
        await storage.put("folder/object", b"1")
        assert await storage.head("folder") is None
        with pytest.raises(ObjectMissing):
            await storage.get("folder")
        assert await storage.delete("folder") is False

    async def test_delete_tells_whether_it_was_there(self, storage: Storage) -> None:
        await storage.put("key", b"1")
        assert await storage.delete("key") is True
        assert await storage.head("key") is None
        assert await storage.delete("key") is False

    async def test_list_goes_by_whole_segments(self, storage: Storage) -> None:
        for key in ("blobs/ab/1", "blobs/ab/2", "blobs/abc", "other"):
            await storage.put(key, b"1")
        assert sorted([found.key async for found in storage.list("blobs/ab")]) == ["blobs/ab/1", "blobs/ab/2"]
        assert sorted([found.key async for found in storage.list()]) == [
            "blobs/ab/1",
            "blobs/ab/2",
            "blobs/abc",
            "other",
        ]
        assert [found.key async for found in storage.list("nothing")] == []

    @pytest.mark.parametrize("key", ["ä/ö", "with space", "a%2Fb", "#?&", "dots..inside", ".hidden"])
    async def test_odd_keys_are_kept_as_spelt(self, storage: Storage, key: str) -> None:
        await storage.put(key, b"1")
        assert await storage.get(key) == b"1"
        assert [found.key async for found in storage.list()] == [key]

    @pytest.mark.parametrize("key", UNSAFE_KEYS)
    async def test_an_unsafe_key_is_refused_everywhere(self, storage: Storage, key: str) -> None:
        with pytest.raises(UnsafeKey):
            await storage.put(key, b"1")
        with pytest.raises(UnsafeKey):
            await storage.get(key)
        with pytest.raises(UnsafeKey):
            await collect(storage.stream(key))
        with pytest.raises(UnsafeKey):
            await storage.head(key)
        with pytest.raises(UnsafeKey):
            await storage.delete(key)
        if key:
            with pytest.raises(UnsafeKey):
                await anext(storage.list(key))
