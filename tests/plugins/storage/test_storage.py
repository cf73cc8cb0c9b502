"""The storage backends keep the contract; hostile keys reach nothing outside."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_core.errors import UnsafeKey
from factory_core.testing.storage import StorageContract, chunks
from factory_plugin_storage import files
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

    async def test_an_upload_that_is_under_way_is_not_listed(self, storage: LocalStorage) -> None:
        listed: list[str] = []

        async def parts() -> AsyncIterator[bytes]:
            yield b"half"
            listed.extend([found.key async for found in storage.list()])
            assert len(list(storage.folder.rglob("#*"))) == 1, "negative control: it is there"
            yield b"half"

        await storage.put("a/b", parts())
        assert listed == []
        assert [path.name for path in storage.folder.rglob("*")] == ["a", "b"]

    async def test_an_upload_that_fails_leaves_no_file(self, storage: LocalStorage) -> None:
        async def broken() -> AsyncIterator[bytes]:
            yield b"half"
            raise ConnectionResetError

        await storage.put("a/b", b"1")
        with pytest.raises(ConnectionResetError):
            await storage.put("a/c", broken())
        with pytest.raises(IsADirectoryError):
            await storage.put("a", b"1")
        assert [path.name for path in storage.folder.rglob("*")] == ["a", "b"]

    @pytest.mark.parametrize("key", ["object", "a/b/c/object"])
    @pytest.mark.parametrize("parts", [1, 3])
    async def test_what_was_put_outlives_a_power_cut(
        self, key: str, parts: int, storage: LocalStorage, disk: Disk
    ) -> None:
        for content in (b"old", b"new"):
            await storage.put(key, content if parts == 1 else chunks(*[content] * parts))
            assert disk.files == {storage.folder / key}
            assert disk.at_risk == set()

    async def test_so_does_what_another_has_just_put(
        self, storage: LocalStorage, disk: Disk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as cut:
            cut.setattr(files, "keep_name", lambda root, path: None)  # as one who is at that point
            await storage.put("a/b", b"1")
        assert storage.folder / "a/b" in disk.at_risk
        assert await storage.head("a/b") is not None
        assert disk.at_risk == set()

    async def test_so_it_does_in_a_folder_that_another_is_just_making(
        self, storage: LocalStorage, disk: Disk
    ) -> None:
        (storage.folder / "a" / "b").mkdir(parents=True)
        assert len(disk.at_risk) == 3
        await storage.put("a/b/c", b"1")
        assert disk.at_risk == {storage.folder}, "the storage's own is made by whoever uses it first"


class Disk:
    """What a power cut would take, by what the process asks of the real system. A name is safe when its folder was flushed
    after it was given, content when its file was; nothing is written by itself."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.files: set[Path] = set()
        self.at_risk: set[Path] = set()
        self._whole: set[Path] = set()
        for name in ("mkdir", "fsync", "replace"):
            patch.setattr(os, name, self._watched(getattr(os, name), getattr(self, f"_{name}")))

    def _watched(self, call: Any, note: Any) -> Any:
        def watched(*arguments: Any, **more: Any) -> Any:
            assert asyncio._get_running_loop() is None or call.__name__ == "mkdir", (
                "the loop does not wait for it"
            )
            result = call(*arguments, **more)
            note(*arguments)
            return result

        return watched

    def _mkdir(self, path: Any, *_: int) -> None:
        self.at_risk.add(Path(path))

    def _fsync(self, number: int) -> None:
        path = Path(f"/proc/self/fd/{number}").readlink()
        self._whole.add(path)
        self.at_risk -= {name for name in self.at_risk if name.parent == path}

    def _replace(self, unfinished: Path, path: Path) -> None:
        assert unfinished in self._whole, "a power cut now would leave half a file under its name"
        self.files.add(path)
        self.at_risk.add(path)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


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
