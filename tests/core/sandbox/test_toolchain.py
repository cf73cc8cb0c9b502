"""Locked packages are fetched once, whole or not at all, and run no code of theirs outside the sandbox."""

from __future__ import annotations

import asyncio
import hashlib
import zipfile
from pathlib import Path

import pytest

from factory_core.contracts.sandbox import SandboxJob
from factory_core.sandbox import BubblewrapSandbox, Toolchain, list_toolchains, prepare
from factory_core.sandbox.toolchain import ToolchainMissing


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder of wheels, and no index."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    make_wheel(folder, "parcel", "ANSWER = 42\n")
    return folder


def make_wheel(folder: Path, name: str, source: str) -> Path:
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as wheel:
        for file, content in files.items():
            wheel.writestr(file, content)
    return path


@pytest.fixture
def lock(tmp_path: Path, shelf: Path) -> Path:
    digest = hashlib.sha256((shelf / "parcel-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    path = tmp_path / "requirements.txt"
    path.write_text(f"parcel==1.0 --hash=sha256:{digest}\n")
    return path


@pytest.fixture
def fetch(tmp_path: Path, shelf: Path):
    environment = {
        "UV_FIND_LINKS": str(shelf),
        "UV_NO_INDEX": "1",
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "SECRET": "of the host",
    }

    def go(lock: Path, home: Path = tmp_path / "home", log=lambda _: None) -> Toolchain:
        return asyncio.run(prepare(lock, home, log, environment=environment))

    return go


def test_what_was_locked_can_be_imported_in_the_sandbox(fetch, lock, tmp_path):
    toolchain = fetch(lock)
    work = tmp_path / "work"
    work.mkdir()
    job = SandboxJob(
        command=("python", "-c", "import parcel, sys; print(parcel.ANSWER, sys.executable)"),
        work=work,
        mounts=toolchain.mounts(),
    )
    result = asyncio.run(BubblewrapSandbox().run(job))
    assert result.stdout.decode().split() == ["42", toolchain.python], result.stderr


def test_it_is_fetched_once(fetch, lock):
    said: list[str] = []
    first, second = fetch(lock, log=said.append), fetch(lock, log=said.append)
    assert first == second
    assert len([line for line in said if line.startswith("Fetching")]) == 1


def test_of_many_callers_at_once_one_fetches(lock, shelf, tmp_path):
    said: list[str] = []
    environment = {"UV_FIND_LINKS": str(shelf), "UV_NO_INDEX": "1", "UV_CACHE_DIR": str(tmp_path / "cache")}

    async def crowd() -> list[Toolchain]:
        return await asyncio.gather(
            *(prepare(lock, tmp_path / "home", said.append, environment=environment) for _ in range(4))
        )

    assert len({toolchain.path for toolchain in asyncio.run(crowd())}) == 1
    assert len([line for line in said if line.startswith("Fetching")]) == 1


def test_one_that_lost_its_python_is_made_again(fetch, lock):
    toolchain = fetch(lock)
    (toolchain.path / "bin" / "python").unlink()
    assert (fetch(lock).path / "bin" / "python").exists()


def test_what_a_killed_fetch_left_behind_does_not_count(fetch, lock, tmp_path):
    path = list_toolchains({"x": lock}, tmp_path / "home")["x"][0]
    half = path.with_name(f".making-{path.name}")
    (half / "bin").mkdir(parents=True)
    assert list_toolchains({"x": lock}, tmp_path / "home")["x"] == (path, False)
    fetch(lock)
    assert list_toolchains({"x": lock}, tmp_path / "home")["x"] == (path, True)
    assert not half.exists()


def test_a_wheel_that_is_not_the_locked_one_is_refused(fetch, lock, shelf, tmp_path):
    make_wheel(shelf, "parcel", "ANSWER = 'tampered'\n")
    with pytest.raises(ToolchainMissing, match=r"(?s)Hash mismatch.*studio toolchain fetch"):
        fetch(lock)
    assert list_toolchains({"x": lock}, tmp_path / "home")["x"][1] is False


def test_a_lock_without_hashes_is_refused(fetch, tmp_path):
    loose = tmp_path / "loose.txt"
    loose.write_text("parcel==1.0\n")
    with pytest.raises(ToolchainMissing, match="hash"):
        fetch(loose)


def test_a_source_archive_is_not_built(fetch, shelf, tmp_path):
    import tarfile

    archive, setup = shelf / "evil-1.0.tar.gz", tmp_path / "setup.py"
    setup.write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w')\nfrom setuptools import setup\nsetup(name='evil', version='1.0')\n"
    )
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(setup, "evil-1.0/setup.py")
    lock = tmp_path / "evil.txt"
    lock.write_text(f"evil==1.0 --hash=sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}\n")
    with pytest.raises(ToolchainMissing):
        fetch(lock)
    assert not (tmp_path / "ran").exists()


def test_without_a_network_the_next_step_is_named(lock, tmp_path):
    environment = {"UV_OFFLINE": "1", "UV_CACHE_DIR": str(tmp_path / "empty")}
    with pytest.raises(ToolchainMissing, match="studio toolchain fetch"):
        asyncio.run(prepare(lock, tmp_path / "home", environment=environment))
