"""The release that a build stands on: an earlier artifact, of which the template's works declare what they read.

Only these files are inputs of the build. They are stored with it, so that it needs neither the archive nor the build that
made it again; where they came from is no input.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Protocol

import msgspec

from factory_core.contracts.files import FileRef
from factory_core.contracts.template import TemplatePackage
from factory_core.errors import FactoryError
from factory_core.planning.reads import release_patterns

__all__ = ["NEWEST", "ReleaseUnfit", "kept_release", "refs_of", "release_files", "stored_release"]

NEWEST = "newest"
PRODUCER = "release"
MOST_BYTES = 16 * 1024 * 1024
"""Of all files that are read of a release."""
MOST_FILES = 500
LONGEST_FILE = 4 * 1024 * 1024
LONGEST_CODE = 256 * 1024
"""Of a file of code, which others parse: that takes hundreds of times its length."""
LONGEST_PATH = 200
MOST_UNPACKED = 64 * 1024 * 1024
"""Of a whole ``.tar.gz``, which is unpacked to its end."""
MOST_HEADERS = 8 * 1024 * 1024
"""Of what a tar file says about its files."""


class ReleaseUnfit(FactoryError):
    """Nothing can be built onto what was named as a release."""

    status = 422
    exit_code = 64

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"{reason} Name a build of this project that passed, the archive it handed out, or the folder that was "
            "unpacked from one."
        )


class Blobs(Protocol):
    """The content-addressed store."""

    async def put(self, content: bytes) -> str: ...

    async def get(self, digest: str) -> bytes: ...


_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,  # also what is no text
    RuntimeError,  # an entry with a password, or a way to compress it that is not known
    MemoryError,
    OverflowError,
)


def release_files(archive: bytes, template: TemplatePackage) -> dict[str, bytes]:
    """What the template's works read of an artifact (``.zip`` or ``.tar.gz``), by path. Raises ReleaseUnfit."""
    patterns = release_patterns(template.manifest.work)
    found: dict[str, bytes] = {}
    total = 0
    try:
        for path, read in _members(archive):
            if not any(pattern.fullmatch(path) for pattern in patterns):
                continue
            found[path] = _content(path, read)
            total += len(found[path])
            if total > MOST_BYTES or len(found) > MOST_FILES:
                raise ReleaseUnfit(
                    f"The release has more than {MOST_BYTES // 1024 // 1024} MiB or {MOST_FILES} files to be read."
                )
    except _BROKEN as error:
        raise ReleaseUnfit(f"The release is no archive that can be read ({error}).") from error
    if not found:
        name = template.manifest.name
        raise ReleaseUnfit(f"The release holds nothing that the template {name} builds onto.")
    return found


def _content(path: str, read: _Read) -> bytes:
    """Raises ReleaseUnfit for what no template wrote: a file too long, or a name that cannot be shown."""
    if not path.isprintable() or len(path) > LONGEST_PATH:
        raise ReleaseUnfit(f"The release has a file with the name {_shown(path)}.")
    most = LONGEST_CODE if path.endswith(".py") else LONGEST_FILE
    content = read(most + 1)
    if len(content) > most:
        raise ReleaseUnfit(f"The release's {path} is longer than {most // 1024} KiB.")
    return content


def _shown(path: str) -> str:
    return ascii(path[:LONGEST_PATH])


class _Read(Protocol):
    def __call__(self, most: int) -> bytes:
        """The content, or its first ``most`` bytes."""
        ...


def _members(archive: bytes) -> Iterator[tuple[str, _Read]]:
    """Path below the top folder and content of each file. Links and what leaves the folder are passed over."""
    if zipfile.is_zipfile(io.BytesIO(archive)):
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            for info in opened.infolist():
                path = None if info.is_dir() else _below(info.filename)
                if path is not None:
                    yield path, lambda most, info=info: _unzipped(opened, info, most)
        return
    unpacked = _Unpacked(_inflated(archive))
    with tarfile.open(fileobj=unpacked, mode="r:") as stream:
        for member in stream:
            path = _below(member.name) if member.type in _PLAIN else None
            if path is not None:
                yield path, lambda most, member=member: unpacked.part(member, most)


_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)


def _unzipped(opened: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes:
    """Read by length: without one, all that an entry inflates to is held before it is cut to what its header says."""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ReleaseUnfit(f"The release's {_shown(info.filename)} is compressed in a way that is not read.")
    with opened.open(info) as stream:
        return stream.read(most)


def _inflated(archive: bytes) -> bytes:
    if not archive.startswith(b"\x1f\x8b"):
        return archive
    with gzip.GzipFile(fileobj=io.BytesIO(archive)) as stream:
        content = stream.read(MOST_UNPACKED + 1)
    if len(content) > MOST_UNPACKED:
        raise ReleaseUnfit(f"The release is larger than {MOST_UNPACKED // 1024 // 1024} MiB.")
    return content


class _Unpacked(io.BytesIO):
    """A tar file. Only its headers are read from it, and they may be of any length: so all of them have a limit."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._left = MOST_HEADERS

    def read(self, size: int | None = -1, /) -> bytes:
        self._left -= len(self.getbuffer()) if size is None or size < 0 else size
        if self._left < 0:
            raise ReleaseUnfit("The release has too many files, or too much is said about them.")
        return super().read(size)

    def part(self, member: tarfile.TarInfo, most: int) -> bytes:
        """The beginning of a file's content."""
        with self.getbuffer() as content:
            found = bytes(content[member.offset_data : member.offset_data + min(member.size, most)])
        if len(found) < min(member.size, most):
            raise EOFError("it ends too early")
        return found


def _below(name: str) -> str | None:
    parts = PurePosixPath(name).parts
    safe = len(parts) > 1 and not name.startswith("/") and ".." not in parts and "\\" not in name
    return PurePosixPath(*parts[1:]).as_posix() if safe else None


def refs_of(files: Mapping[str, bytes]) -> tuple[FileRef, ...]:
    """The files as tasks get them, by path."""
    return tuple(
        FileRef(
            path=path,
            digest=hashlib.sha256(content).hexdigest(),
            size=len(content),
            producer=PRODUCER,
        )
        for path, content in sorted(files.items())
    )


async def kept_release(files: Mapping[str, bytes], blobs: Blobs) -> str:
    """Store the files and their list, whose digest is answered."""
    for content in files.values():
        await blobs.put(content)
    return await blobs.put(msgspec.json.encode(refs_of(files), order="sorted"))


async def stored_release(digest: str, blobs: Blobs) -> tuple[FileRef, ...]:
    """What ``kept_release`` stored; nothing for an empty digest."""
    return msgspec.json.decode(await blobs.get(digest), type=tuple[FileRef, ...]) if digest else ()
