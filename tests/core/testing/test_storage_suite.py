"""The suite for storage catches backends that keep less than they promise."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from factory_core.contracts.storage import ObjectInfo
from factory_core.errors import ObjectMissing, UnsafeKey
from factory_core.testing.storage import StorageContract


class Shelf:
    """A backend in a dictionary, right unless told to have a fault."""

    name = "shelf"

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.objects: dict[str, bytes] = {}

    def _check(self, key: str) -> str:
        odd = any(part in ("", ".", "..") for part in key.split("/"))
        if self.fault != "trusting" and (odd or len(key) > 1024 or set(key) & set("\\\0\n:")):
            raise UnsafeKey(key)
        return key

    async def put(self, key: str, data: bytes | AsyncIterator[bytes]) -> int:
        self._check(key)
        if isinstance(data, bytes):
            self.objects[key] = data
            return len(data)
        content = b""
        async for part in data:
            content += part
            if self.fault == "partial":
                self.objects[key] = content
        self.objects[key] = content
        return len(content)

    async def get(self, key: str) -> bytes:
        if self._check(key) not in self.objects:
            if self.fault == "empty for missing":
                return b""
            raise ObjectMissing(key)
        return self.objects[key]

    async def stream(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        content = await self.get(key)
        end = len(content) if end is None else end + (self.fault == "inclusive")
        yield content[start:end]

    async def head(self, key: str) -> ObjectInfo | None:
        content = self.objects.get(self._check(key))
        moment = datetime.now(None if self.fault == "naive time" else UTC)
        return None if content is None else ObjectInfo(key=key, size=len(content), modified=moment)

    async def delete(self, key: str) -> bool:
        return self.objects.pop(self._check(key), None) is not None or self.fault == "always deleted"

    async def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        if prefix:
            self._check(prefix)
        start = prefix if self.fault == "half segments" or not prefix else f"{prefix}/"
        for key in list(self.objects):
            if key.startswith(start):
                found = await self.head(key)
                assert found is not None
                yield found


class TestShelf(StorageContract):
    @pytest.fixture
    def storage(self) -> Shelf:
        return Shelf()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fault", "claim", "arguments"),
    [
        ("trusting", "test_an_unsafe_key_is_refused_everywhere", ("../escape",)),
        ("partial", "test_an_upload_that_breaks_leaves_what_was_there", ()),
        ("empty for missing", "test_a_missing_object_is_named", ()),
        ("inclusive", "test_a_range_excludes_its_end", (3, 5, b"34")),
        ("naive time", "test_head_tells_size_and_time", ()),
        ("always deleted", "test_delete_tells_whether_it_was_there", ()),
        ("half segments", "test_list_goes_by_whole_segments", ()),
    ],
)
async def test_the_suite_catches_a_faulty_backend(fault: str, claim: str, arguments: tuple) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await getattr(StorageContract(), claim)(Shelf(fault), *arguments)
