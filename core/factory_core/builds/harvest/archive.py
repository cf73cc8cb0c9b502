"""Archives whose bytes follow from their content alone: names sorted, times and modes fixed, nothing of the machine."""

from __future__ import annotations

import gzip
import io
import tarfile
import time
import zipfile
from collections.abc import Iterable

from factory_core.contracts.files import Produced

from .workspace import EPOCH

__all__ = ["make_tar_gz", "make_zip"]

_LEVEL = 9
_UNIX = 3


def make_zip(slug: str, files: Iterable[Produced]) -> bytes:
    """A zip of these files in one folder called ``slug``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in _sorted(files):
            year, month, day, hour, minute, second = time.gmtime(EPOCH)[:6]
            entry = zipfile.ZipInfo(f"{slug}/{file.path}", (year, month, day, hour, minute, second))
            entry.create_system = _UNIX
            entry.external_attr = (0o100000 | _mode(file)) << 16
            archive.writestr(entry, file.content, zipfile.ZIP_DEFLATED, _LEVEL)
    return buffer.getvalue()


def make_tar_gz(slug: str, files: Iterable[Produced]) -> bytes:
    """The same as a gzipped tar."""
    buffer = io.BytesIO()
    # GzipFile writes "unknown" as the operating system; gzip.compress would name this one.
    with (
        gzip.GzipFile(filename="", fileobj=buffer, mode="wb", compresslevel=_LEVEL, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for file in _sorted(files):
            entry = tarfile.TarInfo(f"{slug}/{file.path}")
            entry.size = len(file.content)
            entry.mtime = EPOCH
            entry.mode = _mode(file)
            archive.addfile(entry, io.BytesIO(file.content))
    return buffer.getvalue()


def _sorted(files: Iterable[Produced]) -> list[Produced]:
    return sorted(files, key=lambda file: file.path.encode())


def _mode(file: Produced) -> int:
    return 0o755 if file.executable else 0o644
