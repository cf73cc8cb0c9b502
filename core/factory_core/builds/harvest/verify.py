"""An archive read again: is it what its report says, and does its history show the same files?"""

from __future__ import annotations

import hashlib
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import msgspec
from msgspec import Struct

from factory_core.builds.paths import PathRefused
from factory_core.contracts.files import Produced
from factory_core.errors import FactoryError

from .contribution import Contribution, TwoOwners, check_contributions
from .objects import Blob, ObjectStore, index_bytes, read_object
from .report import REPORT_JSON, REPORT_MARKDOWN, BuildReport
from .workspace import GIT_CONFIG, GIT_HEAD, PACKED_REFS, packed_refs

__all__ = ["ArchiveUnreadable", "Verification", "verify_tree"]

MOST_BYTES = 1 << 30
MOST_FILES = 100_000
_REF = re.compile(rb"^([0-9a-f]{40}) refs/heads/(feat/[A-Za-z0-9/._-]+)$", re.MULTILINE)
_PARENT = re.compile(rb"tree [0-9a-f]{40}\nparent ([0-9a-f]{40})\n")
_OBJECT = re.compile(r"objects/([0-9a-f]{2})/([0-9a-f]{38})\Z")


class ArchiveUnreadable(FactoryError):
    """Not an archive of this studio, or one that would fill the disk."""

    status: ClassVar[int] = 422

    def __init__(self, path: Path, reason: str) -> None:
        self.path = str(path)
        self.reason = reason
        super().__init__(f"{path} cannot be verified: {reason}. Download it again.")


class Verification(Struct, frozen=True, kw_only=True):
    """``problems`` is empty when every byte is accounted for."""

    files: int
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.problems


def verify_tree(path: Path) -> Verification:
    """Compare every file of a zip or tar.gz with the report in it and with the history. Raises ArchiveUnreadable."""
    files = _read(path)
    git = {name.removeprefix(".git/"): file for name, file in files.items() if name.startswith(".git/")}
    tree = {name: file for name, file in files.items() if not name.startswith(".git/")}
    problems = [*_names(tree), *_compare(tree)]
    # A tree that is no tree has no history that could match it.
    problems += [] if problems else _history(tree, git)
    return Verification(files=len(tree), problems=tuple(problems))


def _names(tree: Mapping[str, Produced]) -> Iterator[str]:
    try:
        check_contributions((Contribution(producer="the archive", title="", files=tuple(tree.values())),))
    except (PathRefused, TwoOwners) as error:
        yield str(error)


def _compare(tree: Mapping[str, Produced]) -> Iterator[str]:
    if REPORT_JSON not in tree:
        yield f"{REPORT_JSON} is missing."
        return
    try:
        report = msgspec.json.decode(tree[REPORT_JSON].content, type=BuildReport)
    except msgspec.DecodeError as error:
        yield f"{REPORT_JSON} is not a build report: {error}."
        return
    listed = {row.path: row.sha256 for row in report.files}
    if len(listed) != len(report.files):
        yield f"{REPORT_JSON} lists a file twice."
    for name in sorted(listed.keys() - tree.keys()):
        yield f"{name} is missing."
    for name in sorted(tree.keys() - listed.keys() - {REPORT_JSON, REPORT_MARKDOWN}):
        yield f"{name} is in no report."
    for name in sorted(listed.keys() & tree.keys()):
        if hashlib.sha256(tree[name].content).hexdigest() != listed[name]:
            yield f"{name} was changed: its SHA-256 is not the one in the report."


def _history(tree: Mapping[str, Produced], git: Mapping[str, Produced]) -> Iterator[str]:
    """The repository must be one this studio writes: no hooks, no other configuration, objects that are what they say,
    and the newest commit showing exactly these files."""
    store = ObjectStore()
    blobs = {name: Blob(store.add("blob", file.content), file.executable) for name, file in tree.items()}
    root = store.add_tree(blobs)
    expected = {"HEAD": GIT_HEAD, "config": GIT_CONFIG, "index": index_bytes(blobs)}
    for name, content in expected.items():
        if name not in git or git[name].content != content:
            yield f".git/{name} is not what this studio writes."
    objects: dict[str, bytes] = {}
    for name, file in git.items():
        named = _OBJECT.match(name)
        if named is None and name not in (*expected, "refs/heads/main", PACKED_REFS):
            yield f".git/{name} does not belong there."
        elif named is not None:
            try:
                objects[named[1] + named[2]] = read_object(
                    named[1] + named[2], file.content, limit=MOST_BYTES
                )
            except ValueError as error:
                yield f".git: {error}."
    head = git["refs/heads/main"].content.decode(errors="replace").strip() if "refs/heads/main" in git else ""
    if not objects.get(head, b"").startswith(f"tree {root}\n".encode()):
        yield "The newest commit does not show the files of the archive."
        return
    yield from _branches(tree, git, objects, head)


def _branches(
    tree: Mapping[str, Produced], git: Mapping[str, Produced], objects: Mapping[str, bytes], head: str
) -> Iterator[str]:
    """Every branch ends on main, and those of the tracks where the report says."""
    line = set(_line(objects, head))
    tips = (
        {name: commit for commit, name in _REF.findall(git[PACKED_REFS].content)}
        if PACKED_REFS in git
        else {}
    )
    if (
        PACKED_REFS in git
        and packed_refs({n.decode(): c.decode() for n, c in tips.items()}) != git[PACKED_REFS].content
    ):
        yield f".git/{PACKED_REFS} is not what this studio writes."
    for name, commit in sorted(tips.items()):
        if commit.decode() not in line:
            yield f"The branch {name.decode()} is not part of main."
    report = msgspec.json.decode(tree[REPORT_JSON].content, type=BuildReport)
    for track in report.tracks:
        found = tips.get(track.branch.encode(), track.base.encode()).decode()
        if not track.merged or found != track.head:
            yield f"The branch {track.branch} does not end where {REPORT_JSON} says."


def _line(objects: Mapping[str, bytes], head: str) -> Iterator[str]:
    """Main's commits, newest first."""
    seen: set[str] = set()
    while head in objects and head not in seen:
        seen.add(head)
        yield head
        parent = _PARENT.match(objects[head])
        head = parent[1].decode() if parent is not None else ""


def _read(path: Path) -> dict[str, Produced]:
    """The members by their path below the one top folder."""
    files: dict[str, Produced] = {}
    tops: set[str] = set()
    size = 0
    try:
        with path.open("rb") as opened:
            zipped = opened.read(2) == b"PK"
        members = _zip_members(path) if zipped else _tar_members(path)
        for name, content, executable in members:
            top, _, inner = name.partition("/")
            tops.add(top)
            size += len(content)
            if not inner or inner in files or len(tops) > 1:
                raise ArchiveUnreadable(path, f"{name!r} stands beside the project's folder, or twice in it")
            if size > MOST_BYTES or len(files) >= MOST_FILES:
                raise ArchiveUnreadable(path, "it is larger than any build of this studio")
            files[inner] = Produced(path=inner, content=content, executable=executable)
    except (OSError, EOFError, zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError) as error:
        raise ArchiveUnreadable(path, f"it is damaged ({error})") from error
    except (
        RuntimeError,
        NotImplementedError,
    ) as error:  # an encrypted zip, or a method zipfile does not know
        raise ArchiveUnreadable(path, f"it is not of this studio ({error})") from error
    return files


def _zip_members(path: Path) -> Iterator[tuple[str, bytes, bool]]:
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            mode = entry.external_attr >> 16
            if entry.is_dir() or mode & 0o170000 not in (0, 0o100000):
                raise ArchiveUnreadable(path, f"{entry.filename!r} is no plain file")
            if entry.file_size > MOST_BYTES:
                raise ArchiveUnreadable(path, f"{entry.filename!r} is too large")
            with archive.open(entry) as member:
                yield entry.filename, member.read(MOST_BYTES), bool(mode & 0o100)


def _tar_members(path: Path) -> Iterator[tuple[str, bytes, bool]]:
    with tarfile.open(path, "r:gz") as archive:
        for entry in archive:
            member = archive.extractfile(entry) if entry.isreg() else None
            if member is None or entry.size > MOST_BYTES:
                raise ArchiveUnreadable(path, f"{entry.name!r} is no plain file, or too large")
            yield entry.name, member.read(), bool(entry.mode & 0o100)
