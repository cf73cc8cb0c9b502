"""What a task is lent: verified inputs, and a private folder in the sandbox."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_core.builds.paths import PathRefused
from factory_core.builds.tools import BlobDamaged, Blobs, BuildTools
from factory_core.contracts.files import FileRef, Produced
from factory_core.contracts.sandbox import Limits
from factory_core.contracts.storage import ObjectInfo
from factory_core.errors import ObjectMissing
from factory_core.sandbox import BubblewrapSandbox, Toolchain
from factory_core.testing.agent import BenchBoard


class Shelf:
    """A storage in memory that counts what is written."""

    name = "shelf"

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.writes = 0

    async def put(self, key: str, data: bytes | AsyncIterator[bytes]) -> int:
        assert isinstance(data, bytes)
        self.objects[key] = data
        self.writes += 1
        return len(data)

    async def get(self, key: str) -> bytes:
        if key not in self.objects:
            raise ObjectMissing(key)
        return self.objects[key]

    async def head(self, key: str) -> ObjectInfo | None:
        from datetime import UTC, datetime

        found = self.objects.get(key)
        return None if found is None else ObjectInfo(key=key, size=len(found), modified=datetime.now(UTC))


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def said() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def tools(shelf, said, tmp_path) -> BuildTools:
    async def log(message: str, level: str) -> None:
        said.append((message, level))

    toolchain = tmp_path / "toolchain"
    (toolchain / "bin").mkdir(parents=True)
    (toolchain / "bin" / "python").symlink_to(Path(sys.base_prefix, "bin", "python3"))
    return BuildTools(
        blobs=Blobs(shelf),
        sandbox=BubblewrapSandbox(),
        toolchain=Toolchain(path=toolchain, digest="0" * 64),
        home=tmp_path,
        log=log,
        board=BenchBoard(),
    )


@given(st.binary(max_size=100))
def test_a_blob_comes_back_as_it_was(content):
    blobs = Blobs(Shelf())

    async def there_and_back() -> bytes:
        return await blobs.get(await blobs.put(content))

    assert asyncio.run(there_and_back()) == content


def test_equal_content_is_stored_once(shelf):
    async def twice() -> tuple[str, str]:
        blobs = Blobs(shelf)
        return await blobs.put(b"x"), await blobs.put(b"x")

    first, second = asyncio.run(twice())
    assert first == second
    assert (shelf.writes, list(shelf.objects)) == (1, [f"blobs/{first[:2]}/{first}"])


def test_a_damaged_blob_is_named(shelf):
    digest = asyncio.run(Blobs(shelf).put(b"x"))
    shelf.objects[f"blobs/{digest[:2]}/{digest}"] = b"y"
    with pytest.raises(BlobDamaged, match=digest):
        asyncio.run(Blobs(shelf).get(digest))


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "0" * 64])
def test_what_is_not_there_is_missing(shelf, digest):
    with pytest.raises(ObjectMissing):
        asyncio.run(Blobs(shelf).get(digest))


def test_a_command_sees_its_files_and_what_it_made_is_collected(tools, shelf, tmp_path):
    async def go():
        ref = FileRef(
            path="data/in.txt",
            digest=await Blobs(shelf).put(b"stored"),
            size=6,
            producer="t",
            executable=False,
        )
        script = Produced(
            path="run.sh", content=b"#!/bin/sh\ncat data/in.txt > out.txt; touch other\n", executable=True
        )
        return await tools.run(("./run.sh",), (ref, script), collect=("*.txt",))

    result, produced = asyncio.run(go())
    assert result.exit_code == 0, result.stderr
    assert produced == (Produced(path="out.txt", content=b"stored"),)
    assert list((tmp_path / "work").iterdir()) == []


def test_python_is_the_toolchains(tools):
    result, _ = asyncio.run(tools.run(("python", "-c", "import sys; print(sys.executable)"), ()))
    assert result.stdout.strip() == b"/toolchain/bin/python"


def test_a_file_outside_is_refused_before_anything_runs(tools):
    with pytest.raises(PathRefused):
        asyncio.run(tools.run(("true",), (Produced(path="../x", content=b""),)))


def test_the_folder_goes_also_when_the_run_is_cancelled(tools, tmp_path):
    async def go() -> None:
        task = asyncio.create_task(tools.run(("sleep", "60"), (), limits=Limits(wall_seconds=60)))
        while not list((tmp_path / "work").glob("run-*")):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(go(), 30))
    assert list((tmp_path / "work").iterdir()) == []


def test_folders_of_the_dead_are_swept_and_those_in_use_are_not(tools, tmp_path):
    dead = tmp_path / "work" / "run-dead"
    dead.mkdir(parents=True)
    (dead / ".held").touch()

    async def two_at_once() -> list[int]:
        runs = [
            tools.run(("/bin/sh", "-c", "sleep 0.2; cat f"), (Produced(path="f", content=b"x"),))
            for _ in "ab"
        ]
        return [result.exit_code for result, _ in await asyncio.gather(*runs)]

    assert asyncio.run(two_at_once()) == [0, 0]
    assert list((tmp_path / "work").iterdir()) == []


def test_a_log_line_keeps_its_level(tools, said):
    asyncio.run(tools.log("careful", level="warning"))
    assert said == [("careful", "warning")]
