"""Reading a release: an archive that may be anybody's."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import factory_template_neoforge
from factory_core.builds import release as releases
from factory_core.builds.release import ReleaseUnfit, refs_of, release_files
from factory_core.contracts.template import TemplatePackage
from factory_core.kernel.commands.build_release import named_release
from factory_core.planning import load_template

SCHEMA = "migrations/schema.json"
FILES = {
    f"shop/{SCHEMA}": b"{}",
    "shop/migrations/versions/1.py": b"one",
    "shop/app/main.py": b"",
    "shop/README.md": b"",
}

Pack = Callable[[dict[str, bytes]], bytes]


def zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return packed.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("shop/migrations/versions/2.py")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return packed.getvalue()


@pytest.fixture(scope="module")
def template() -> TemplatePackage:
    return load_template(Path(factory_template_neoforge.__file__).parent)


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_only_what_the_template_reads_is_taken(template: TemplatePackage, pack: Pack) -> None:
    found = release_files(pack(FILES), template)
    assert found == {SCHEMA: b"{}", "migrations/versions/1.py": b"one"}
    assert [ref.path for ref in refs_of(found)] == sorted(found)


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize(
    "path",
    [
        SCHEMA,
        f"/{SCHEMA}",
        f"shop/../{SCHEMA}",
        f"shop/x/../{SCHEMA}",
        "shop/migrations\\schema.json",
        "shop/app/x",
    ],
)
def test_what_is_not_in_the_project_is_passed_over(template: TemplatePackage, pack: Pack, path: str) -> None:
    with pytest.raises(ReleaseUnfit, match="holds nothing that the template neoforge builds onto"):
        release_files(pack({path: b"{}"}), template)


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_release_has_a_size(template: TemplatePackage, pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releases, "MOST_BYTES", 5)
    assert release_files(pack(FILES), template)
    with pytest.raises(ReleaseUnfit, match="more than 0 MiB or 500 files"):
        release_files(pack(FILES | {f"shop/{SCHEMA}": b"{  }"}), template)


def test_an_archive_is_not_unpacked_for_ever(
    template: TemplatePackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases, "MOST_UNPACKED", 100)
    with pytest.raises(ReleaseUnfit, match="larger than 0 MiB"):
        release_files(tarred(FILES | {"shop/large": bytes(200)}), template)


@pytest.mark.parametrize(
    ("pack", "length"), [(zipped, 0), (zipped, 60), (zipped, 200), (tarred, 40), (tarred, 150)]
)
def test_a_broken_archive_is_refused(template: TemplatePackage, pack: Pack, length: int) -> None:
    broken = pack(FILES)[:length]
    with pytest.raises(ReleaseUnfit, match="no archive that can be read"):
        release_files(broken, template)


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_file_of_a_release_has_a_size_and_a_number(
    template: TemplatePackage, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "shop/migrations/versions/1.py"
    assert release_files(pack(FILES | {code: bytes(releases.LONGEST_CODE)}), template)
    with pytest.raises(ReleaseUnfit, match=r"1\.py is longer than 256 KiB"):
        release_files(pack(FILES | {code: bytes(releases.LONGEST_CODE + 1)}), template)
    with pytest.raises(ReleaseUnfit, match="is longer than 4096 KiB"):
        release_files(pack(FILES | {f"shop/{SCHEMA}": bytes(releases.LONGEST_FILE + 1)}), template)
    monkeypatch.setattr(releases, "MOST_FILES", 2)
    assert release_files(pack(FILES), template)
    with pytest.raises(ReleaseUnfit, match="or 2 files"):
        release_files(pack(FILES | {"shop/migrations/versions/2.py": b""}), template)


def most_taken(archive: bytes, template: TemplatePackage) -> int:
    """Bytes held at most while the archive is refused."""
    tracemalloc.start()
    try:
        with pytest.raises(ReleaseUnfit):
            release_files(archive, template)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_zip_that_lies_about_its_sizes_is_not_inflated(template: TemplatePackage) -> None:
    size = 100 * 1024 * 1024
    lying = zipped({f"shop/{SCHEMA}": bytes(size)})
    lying = lying.replace(struct.pack("<L", size), struct.pack("<L", 2))
    assert zipfile.ZipFile(io.BytesIO(lying)).infolist()[0].file_size == 2
    assert most_taken(lying, template) < 4 * releases.LONGEST_FILE


def test_long_headers_of_a_tar_file_are_not_read(template: TemplatePackage) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo(f"shop/{SCHEMA}")
        member.pax_headers = {"comment": "x" * 40 * 1024 * 1024}
        archive.addfile(member)
    # Unpacked it is there at most twice: as it is read and as it is joined.
    assert most_taken(packed.getvalue(), template) < 100 * 1024 * 1024
    with pytest.raises(ReleaseUnfit, match="too much is said about them"):
        release_files(packed.getvalue(), template)


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_entry_is_stored_or_deflated(template: TemplatePackage, kind: int) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", kind) as archive:
        archive.writestr(f"shop/{SCHEMA}", b"{}")
    with pytest.raises(ReleaseUnfit, match="compressed in a way that is not read"):
        release_files(packed.getvalue(), template)


def test_an_entry_with_a_password_is_refused(template: TemplatePackage) -> None:
    content = bytearray(zipped({f"shop/{SCHEMA}": b"{}"}))
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + place] |= 1
    with pytest.raises(ReleaseUnfit, match="no archive that can be read"):
        release_files(bytes(content), template)


@pytest.mark.parametrize("name", ["\udcff", "\n", "x" * 300], ids=["no text", "a line", "long"])
def test_names_can_be_shown(template: TemplatePackage, name: str) -> None:
    with pytest.raises(ReleaseUnfit, match="has a file with the name"):
        release_files(tarred(FILES | {f"shop/migrations/versions/{name}.py": b""}), template)


def test_a_folder_is_packed_whatever_its_dates_and_has_a_size(
    template: TemplatePackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zipfile.ZipFile(io.BytesIO(zipped(FILES))).extractall(tmp_path)
    folder = tmp_path / "shop"
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / "x").write_bytes(b"x" * 100)
    os.utime(folder / SCHEMA, (0, 0))
    monkeypatch.setattr(releases, "MOST_BYTES", 50)
    _, packed = named_release(str(folder))
    assert release_files(packed, template)[SCHEMA] == b"{}"
    (folder / "large").write_bytes(b"x" * 100)
    with pytest.raises(ReleaseUnfit, match="holds more than 0 MiB"):
        named_release(str(folder))


def test_a_release_is_named_by_build_archive_or_folder(template: TemplatePackage, tmp_path: Path) -> None:
    build = "0199a1de-0000-7000-8000-000000000000"
    assert named_release(None) == ("", b"")
    assert named_release("newest") == ("newest", b"")
    assert named_release(build) == (build, b"")
    archive = tmp_path / "out" / "shop.zip"
    archive.parent.mkdir()
    archive.write_bytes(zipped(FILES))
    assert named_release(str(archive)) == named_release(str(archive.parent)) == ("", archive.read_bytes())
    zipfile.ZipFile(archive).extractall(tmp_path)
    (tmp_path / "shop" / ".venv").mkdir()
    (tmp_path / "shop" / ".venv" / "x").write_bytes(b"x")
    (tmp_path / "shop" / "link").symlink_to("/etc/passwd")
    onto, packed = named_release(str(tmp_path / "shop"))
    assert onto == ""
    assert release_files(packed, template) == release_files(archive.read_bytes(), template)
    assert len(zipfile.ZipFile(io.BytesIO(packed)).namelist()) == len(FILES)


def test_a_release_that_is_not_there_or_not_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(ReleaseUnfit, match="no such file or folder"):
        named_release(str(tmp_path / "nothing"))
    for name in ("a.zip", "b.zip"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ReleaseUnfit, match="holds 2 archives"):
        named_release(str(tmp_path))
