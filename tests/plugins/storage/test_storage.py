"""The storage backends keep the contract; hostile keys reach nothing outside."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_core.errors import UnsafeKey
from factory_core.testing.storage import StorageContract
from factory_plugin_storage.health import DiskSpace
from factory_plugin_storage.keys import check_key
from factory_plugin_storage.service import LocalStorage, MemoryStorage


class TestLocalStorage(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> LocalStorage:
        return LocalStorage(tmp_path / "objects")

    async def test_another_process_sees_what_was_put(self, storage: LocalStorage) -> None:
        await storage.put("a/b", b"1")
        assert await LocalStorage(storage.folder).get("a/b") == b"1"

    async def test_a_folder_of_odd_characters_serves(self, tmp_path: Path) -> None:
        storage = LocalStorage(tmp_path / "with space, ümlaut & %2F")
        await storage.put("a/b", b"1")
        assert await storage.get("a/b") == b"1"
        assert [found.key async for found in storage.list()] == ["a/b"]

    async def test_nothing_but_the_object_is_left_in_the_folder(self, storage: LocalStorage) -> None:
        await storage.put("one", b"1")
        assert [path.name for path in storage.folder.rglob("*")] == ["one"]


class TestMemoryStorage(StorageContract):
    @pytest.fixture
    def storage(self) -> MemoryStorage:
        return MemoryStorage()


def test_the_folder_is_made_only_when_used(tmp_path: Path) -> None:
    LocalStorage(tmp_path / "objects")
    assert list(tmp_path.iterdir()) == []


_hostile = st.lists(
    st.sampled_from(
        [
            "..",
            ".",
            "",
            "a",
            "b c",
            "ä",
            "\\",
            "\0",
            "\n",
            "C:",
            "~",
            "%2e%2e",
            "..a",
            "x" * 250,
            "\ud800",
            "#1",
        ]
    ),
    max_size=6,
).map("/".join)


@given(_hostile | st.text(max_size=40))
def test_an_accepted_key_stays_inside_any_folder(key: str) -> None:
    try:
        check_key(key)
    except UnsafeKey:
        return
    inside = Path("/store") / key
    assert inside.parts[:2] == ("/", "store")
    assert ".." not in inside.parts
    assert str(inside) == f"/store/{key}"


@given(
    st.lists(
        st.text("abcdefghijklmnopqrstuvwxyz0123456789-_. ", min_size=1, max_size=30), min_size=1, max_size=8
    )
)
def test_ordinary_keys_are_accepted(segments: list[str]) -> None:
    key = "/".join(segment if set(segment) != {"."} else "dots" for segment in segments)
    assert check_key(key) == key


@pytest.mark.anyio
async def test_a_full_disk_is_reported_with_the_next_step(tmp_path: Path) -> None:
    report = await DiskSpace(tmp_path / "not" / "yet", minimum_mib=1 << 40).check()
    assert not report.ok
    assert "Make room" in report.detail
    assert (await DiskSpace(tmp_path, minimum_mib=0).check()).ok
