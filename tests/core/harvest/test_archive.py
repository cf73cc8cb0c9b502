from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from factory_core.builds.harvest.archive import make_tar_gz, make_zip
from factory_core.builds.harvest.contribution import Contribution
from factory_core.builds.harvest.workspace import make_repository
from factory_core.contracts.files import Produced


@pytest.fixture
def files(contributions: tuple[Contribution, ...]) -> tuple[Produced, ...]:
    return make_repository(contributions)


def test_both_archives_hold_every_file_in_one_folder(files: tuple[Produced, ...]) -> None:
    expected = {f"cards/{file.path}": file.content for file in files}
    assert "cards/.gitignore" in expected
    with zipfile.ZipFile(io.BytesIO(make_zip("cards", files))) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == expected
        assert archive.namelist() == sorted(archive.namelist(), key=str.encode)
    with tarfile.open(fileobj=io.BytesIO(make_tar_gz("cards", files))) as tar:
        assert {name: tar.extractfile(name).read() for name in tar.getnames()} == expected  # type: ignore[union-attr]  # all are files


@pytest.mark.parametrize("make", [make_zip, make_tar_gz])
def test_the_order_of_the_files_changes_no_byte(
    make: Callable[[str, tuple[Produced, ...]], bytes], files: tuple[Produced, ...]
) -> None:
    assert make("cards", files) == make("cards", tuple(reversed(files)))
    assert make("cards", files) != make("other", files)


def test_no_field_tells_of_the_machine(files: tuple[Produced, ...]) -> None:
    packed = make_tar_gz("cards", files)
    assert packed[4:8] == b"\0\0\0\0", "no time in the gzip header"
    assert packed[9] == 255, "no operating system in the gzip header"
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        facts = {(item.uid, item.gid, item.uname, item.gname, item.mtime) for item in tar}
        modes = {item.name: item.mode for item in tar}
    assert facts == {(0, 0, "", "", 1_767_225_600)}
    assert set(modes.values()) == {0o644, 0o755}
    with zipfile.ZipFile(io.BytesIO(make_zip("cards", files))) as archive:
        assert {item.date_time for item in archive.infolist()} == {(2026, 1, 1, 0, 0, 0)}
        assert {item.create_system for item in archive.infolist()} == {3}
        scripts = {item.filename for item in archive.infolist() if item.external_attr >> 16 == 0o100755}
    assert scripts == {"cards/scripts/run.sh"}


_ELSEWHERE = """
import hashlib, sys
from factory_core.builds.harvest.archive import make_tar_gz, make_zip
from factory_core.builds.harvest.contribution import Contribution
from factory_core.builds.harvest.workspace import make_repository
from factory_core.contracts.files import Produced
made = Contribution(producer="a", title="A", files=tuple(Produced(path=f"d{n}/f{n}", content=b"x" * n) for n in range(40)))
files = make_repository((made,))
print(hashlib.sha256(make_zip("s", files) + make_tar_gz("s", files)).hexdigest())
"""


def test_another_process_in_another_place_and_time_zone_makes_the_same_bytes(tmp_path: Path) -> None:
    answers = {
        subprocess.run(
            [sys.executable, "-c", _ELSEWHERE],
            cwd=folder,
            env={"PYTHONHASHSEED": seed, "TZ": zone, "HOME": str(folder)},
            capture_output=True,
            check=True,
        ).stdout
        for folder, seed, zone in [(tmp_path, "1", "UTC"), (Path("/"), "2", "Pacific/Kiritimati")]
    }
    assert len(answers) == 1


def test_a_repository_from_the_zip_is_clean(
    files: tuple[Produced, ...], tmp_path: Path, git: Callable[..., str]
) -> None:
    with tarfile.open(fileobj=io.BytesIO(make_tar_gz("cards", files))) as tar:
        tar.extractall(tmp_path, filter="data")
    assert git(tmp_path / "cards", "status", "--porcelain") == ""
