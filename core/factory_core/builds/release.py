"""The release that a build stands on: an earlier artifact, of which the template's works declare what they read.

Only these files are inputs of the build. They are stored with it, so that it needs neither the archive nor the build that
made it again; where they came from is no input.
"""

from __future__ import annotations

import hashlib
import io
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
MOST_UNPACKED = 512 * 1024 * 1024
"""Of a whole archive, which is read through to its end."""


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


def release_files(archive: bytes, template: TemplatePackage) -> dict[str, bytes]:
    """What the template's works read of an artifact (``.zip`` or ``.tar.gz``), by path. Raises ReleaseUnfit."""
    patterns = release_patterns(template.manifest.work)
    found: dict[str, bytes] = {}
    total = 0
    try:
        for path, size, read in _members(archive):
            if not any(pattern.fullmatch(path) for pattern in patterns):
                continue
            total += size
            if total > MOST_BYTES:
                raise ReleaseUnfit(f"The release has more than {MOST_BYTES // 1024 // 1024} MiB to be read.")
            found[path] = read()
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        EOFError,
        OSError,
        NotImplementedError,
    ) as error:
        raise ReleaseUnfit(f"The release is no archive that can be read ({error}).") from error
    if not found:
        name = template.manifest.name
        raise ReleaseUnfit(f"The release holds nothing that the template {name} builds onto.")
    return found


class _Read(Protocol):
    def __call__(self) -> bytes: ...


def _members(archive: bytes) -> Iterator[tuple[str, int, _Read]]:
    """Path below the top folder, size and content of each file. Links and what leaves the folder are passed over."""
    if zipfile.is_zipfile(io.BytesIO(archive)):
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            for info in opened.infolist():
                path = None if info.is_dir() else _below(info.filename)
                if path is not None:
                    yield path, info.file_size, lambda info=info: opened.read(info)
        return
    unpacked = 0
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:*") as stream:
        for member in stream:
            unpacked += member.size
            if unpacked > MOST_UNPACKED:
                raise ReleaseUnfit(f"The release is larger than {MOST_UNPACKED // 1024 // 1024} MiB.")
            path = _below(member.name) if member.isfile() else None
            if path is not None:
                yield path, member.size, lambda member=member: _content(stream, member)


def _content(stream: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    opened = stream.extractfile(member)
    return opened.read() if opened is not None else b""


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
