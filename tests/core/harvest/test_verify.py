from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import Struct

from factory_core.builds.harvest import (
    BuildReport,
    Contribution,
    Evidence,
    make_report,
    report_json,
    report_markdown,
    verify_tree,
)
from factory_core.builds.harvest.archive import make_tar_gz, make_zip
from factory_core.builds.harvest.verify import ArchiveUnreadable
from factory_core.builds.harvest.workspace import make_repository
from factory_core.contracts.blueprint import Blueprint, Project
from factory_core.contracts.files import Produced
from factory_core.contracts.plan import Plan, Quote
from factory_core.contracts.template import Manifest, ToolchainSpec


@pytest.fixture
def evidence(contributions: tuple[Contribution, ...]) -> Evidence:
    return Evidence(
        blueprint=Blueprint(project=Project(name="Cards", slug="cards")),
        plan=Plan(
            tasks=(),
            teams=(),
            phases=(),
            critical_path=(),
            quote=Quote(tasks=0, agents=0, total_seconds=0, critical_seconds=0),
            scale=1.0,
            paradigm="hierarchical",
        ),
        manifest=Manifest(name="small", version="1", title="", toolchain=ToolchainSpec(lock="l"), work=()),
        contributions=contributions,
    )


class Harvest(Struct):
    report: BuildReport
    files: tuple[Produced, ...]
    zip: bytes
    tar_gz: bytes


def gather(evidence: Evidence) -> Harvest:
    """What a build hands out, as the delivery puts it together."""
    report = make_report(evidence)
    written = Contribution(
        producer="report",
        title="Report on the build",
        files=(
            Produced(path="BUILD_REPORT.json", content=report_json(report)),
            Produced(path="BUILD_REPORT.md", content=report_markdown(report)),
        ),
    )
    files = make_repository((*evidence.contributions, written))
    return Harvest(report, files, make_zip("cards", files), make_tar_gz("cards", files))


@pytest.fixture
def harvest(evidence: Evidence) -> Harvest:
    return gather(evidence)


@pytest.fixture
def problems(tmp_path: Path, harvest: Harvest) -> Callable[..., tuple[str, ...]]:
    """Verify the harvest after files were changed, added (new path) or removed (None)."""

    def verify(**changes: bytes | None) -> tuple[str, ...]:
        files = {file.path: file for file in harvest.files}
        for path, content in changes.items():
            files.pop(path, None)
            if content is not None:
                files[path] = Produced(path=path, content=content)
        (tmp_path / "a.zip").write_bytes(make_zip("cards", files.values()))
        (tmp_path / "a.tar.gz").write_bytes(make_tar_gz("cards", files.values()))
        found = verify_tree(tmp_path / "a.zip").problems
        assert found == verify_tree(tmp_path / "a.tar.gz").problems
        return found

    return verify


def test_a_harvest_is_what_it_says(problems: Callable[..., tuple[str, ...]]) -> None:
    assert problems() == ()


def test_equal_evidence_gives_equal_archives(evidence: Evidence, harvest: Harvest) -> None:
    again = gather(evidence)
    assert (again.zip, again.tar_gz) == (harvest.zip, harvest.tar_gz)


def test_the_report_is_committed_and_lists_every_other_file(
    harvest: Harvest, contributions: tuple[Contribution, ...]
) -> None:
    assert {row.path for row in harvest.report.files} == {
        file.path for made in contributions for file in made.files
    }
    assert {"BUILD_REPORT.json", "BUILD_REPORT.md", ".git/HEAD"} <= {file.path for file in harvest.files}


@pytest.mark.parametrize(
    ("path", "content", "found"),
    [
        ("README.md", b"changed", "README.md was changed"),
        ("README.md", None, "README.md is missing"),
        ("evil.py", b"", "evil.py is in no report"),
        ("BUILD_REPORT.json", None, "BUILD_REPORT.json is missing"),
        ("BUILD_REPORT.json", b"{}", "is not a build report"),
        ("BUILD_REPORT.md", b"All is well", "newest commit does not show"),
        (".git/hooks/post-checkout", b"#!/bin/sh", ".git/hooks/post-checkout does not belong"),
        (".git/config", b"[core]\n\tfsmonitor = evil", ".git/config is not what"),
        (".git/HEAD", b"ref: refs/heads/other\n", ".git/HEAD is not what"),
        (".git/index", b"DIRC", ".git/index is not what"),
        (".git/refs/heads/main", b"0" * 40, "newest commit does not show"),
        (".git/refs/heads/main", None, "newest commit does not show"),
        (".git/objects/00/" + "0" * 38, b"no zlib", "is damaged"),
        (".git/packed-refs", b"0" * 40 + b" refs/heads/feat/\xff\n", ".git/packed-refs is not what"),
        ("readme.md", b"", "both made 'readme.md'"),
    ],
)
def test_every_kind_of_tampering_is_named(
    problems: Callable[..., tuple[str, ...]], path: str, content: bytes | None, found: str
) -> None:
    assert any(found in problem for problem in problems(**{path: content}))


def test_an_object_that_is_another_is_named(
    problems: Callable[..., tuple[str, ...]], harvest: Harvest
) -> None:
    one, other, *_ = (file for file in harvest.files if file.path.startswith(".git/objects/"))
    assert any("not what its name says" in problem for problem in problems(**{one.path: other.content}))


def _tar(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for entry, content in entries:
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def test_links_are_refused(tmp_path: Path) -> None:
    link = tarfile.TarInfo("cards/link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    (tmp_path / "a.tar.gz").write_bytes(_tar((link, b"")))
    zipped = zipfile.ZipInfo("cards/link")
    zipped.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(zipped, "/etc/passwd")
    for name in ("a.tar.gz", "a.zip"):
        with pytest.raises(ArchiveUnreadable, match="no plain file"):
            verify_tree(tmp_path / name)


@pytest.mark.parametrize("names", [("one/a", "two/a"), ("a",), ("cards/a", "cards/a")])
def test_files_beside_the_folder_or_twice_in_it_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    (tmp_path / "a.tar.gz").write_bytes(_tar(*((tarfile.TarInfo(name), b"") for name in names)))
    with pytest.raises(ArchiveUnreadable, match="beside the project's folder"):
        verify_tree(tmp_path / "a.tar.gz")


def test_paths_that_leave_the_folder_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(_tar((tarfile.TarInfo("cards/../../evil"), b"")))
    assert any("is refused" in problem for problem in verify_tree(tmp_path / "a.tar.gz").problems)


@pytest.mark.parametrize(
    "content", [b"", b"not an archive", b"\x1f\x8b\x08\x00damaged", b"PK\x03\x04damaged"]
)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ArchiveUnreadable):
        verify_tree(tmp_path / "a.zip")


def test_a_cut_or_flipped_archive_is_refused_or_named(tmp_path: Path, harvest: Harvest) -> None:
    for data in (harvest.tar_gz[:-200], harvest.zip[: len(harvest.zip) // 2]):
        (tmp_path / "a").write_bytes(data)
        with pytest.raises(ArchiveUnreadable):
            verify_tree(tmp_path / "a")


def test_what_is_too_large_is_refused(
    tmp_path: Path, harvest: Harvest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("factory_core.builds.harvest.verify.MOST_BYTES", 100)
    for name, data in (("a.zip", harvest.zip), ("a.tar.gz", harvest.tar_gz)):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ArchiveUnreadable, match="large"):
            verify_tree(tmp_path / name)
