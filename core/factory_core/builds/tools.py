"""What one task is lent: its inputs, a line in the log, and the sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import re
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

from factory_core.builds.paths import check_produced
from factory_core.builds.pieces import Pieces
from factory_core.builds.recent import ReadsBlobs, Recent
from factory_core.contracts.agent import Board
from factory_core.contracts.files import FileRef, Produced
from factory_core.contracts.sandbox import HostShare, Limits, Sandbox, SandboxJob, SandboxResult
from factory_core.contracts.storage import Storage
from factory_core.errors import FactoryError, ObjectMissing
from factory_core.sandbox.inside.carrier import pattern
from factory_core.sandbox.toolchain import Toolchain

__all__ = ["BlobDamaged", "Blobs", "BuildTools"]

Log = Callable[[str, str], Awaitable[None]]
SharesNow = Callable[[], Awaitable[tuple[HostShare, ...]]]
WORK_FOLDER = "work"
PREFIX = "run-"
HELD = ".held"


class BlobDamaged(FactoryError):
    """A stored file that no longer has the content it was stored under."""

    def __init__(self, digest: str) -> None:
        self.digest = digest
        super().__init__(
            f"The stored file {digest} has another content than its name says. Delete it from the storage and retry "
            "the build: what made it is then run again."
        )


class Blobs:
    """Files by the SHA-256 of their content. The same content is stored once."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.recent = Recent(self)
        """For whoever reads the same files again and again."""

    async def put(self, content: bytes) -> str:
        """Store it and give its digest."""
        digest = hashlib.sha256(content).hexdigest()
        if await self._storage.head(_key(digest)) is None:
            await self._storage.put(_key(digest), content)
        return digest

    async def get(self, digest: str) -> bytes:
        """The content, checked. Raises ObjectMissing or BlobDamaged."""
        if not re.fullmatch("[0-9a-f]{64}", digest):
            raise ObjectMissing(digest)
        content = await self._storage.get(_key(digest))
        if hashlib.sha256(content).hexdigest() != digest:
            raise BlobDamaged(digest)
        return content


class BuildTools:
    """The ``Tools`` of one task."""

    def __init__(
        self,
        *,
        blobs: ReadsBlobs,
        sandbox: Sandbox,
        toolchain: Toolchain,
        home: Path,
        log: Log,
        board: Board,
        pieces: Pieces | None = None,
        shares: SharesNow | None = None,
    ) -> None:
        self.board = board
        self._blobs = blobs
        self._sandbox = sandbox
        self._toolchain = toolchain
        self._folder = home / WORK_FOLDER
        self._log = log
        self._pieces = pieces or Pieces()
        self._shares = shares

    async def recall(self, keys: Iterable[str]) -> dict[str, Any]:
        """What was remembered under these keys."""
        return await self._pieces.recall(keys)

    async def remember(self, facts: Mapping[str, Any]) -> None:
        """Keep facts under their keys."""
        await self._pieces.remember(facts)

    async def read(self, ref: FileRef) -> bytes:
        """The content of an input."""
        return await self._blobs.get(ref.digest)

    async def log(self, message: str, *, level: str = "info") -> None:
        """A line in the build's log."""
        await self._log(message, level)

    async def run(
        self,
        command: tuple[str, ...],
        files: tuple[FileRef | Produced, ...],
        *,
        limits: Limits | None = None,
        environment: dict[str, str] | None = None,
        collect: tuple[str, ...] = (),
    ) -> tuple[SandboxResult, tuple[Produced, ...]]:
        """Run a command over a copy of ``files``. The folder of the copy is gone afterwards, whatever happened."""
        bounds = limits or Limits()
        contents = [file if isinstance(file, Produced) else await self._fetched(file) for file in files]
        check_produced(contents)
        with _private_folder(self._folder) as work:
            await asyncio.to_thread(_lay_out, contents, work)
            result = await self._sandbox.run(
                SandboxJob(
                    command=command,
                    work=work,
                    mounts=self._toolchain.mounts(),
                    environment=environment or {},
                    limits=bounds,
                    collect=collect,
                    shares=await self._shares() if self._shares else (),
                )
            )
            return result, await asyncio.to_thread(_collect, work, collect, bounds.work_bytes)

    async def _fetched(self, ref: FileRef) -> Produced:
        return Produced(path=ref.path, content=await self.read(ref), executable=ref.executable)


def _key(digest: str) -> str:
    return f"blobs/{digest[:2]}/{digest}"


@contextlib.contextmanager
def _private_folder(parent: Path) -> Generator[Path]:
    """A folder that lives as long as the block; those of processes that were killed go, too."""
    parent.mkdir(parents=True, exist_ok=True)
    _sweep(parent)
    folder = Path(tempfile.mkdtemp(dir=parent))
    try:
        with (folder / HELD).open("wb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            # Under its name only when it is held, or another process would sweep it away.
            folder = folder.rename(folder.with_name(PREFIX + folder.name))
            work = folder / "work"
            work.mkdir()
            yield work
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(parent: Path) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), (folder / HELD).open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


def _lay_out(files: Iterable[Produced], work: Path) -> None:
    for file in files:
        target = work / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
        target.chmod(0o755 if file.executable else 0o644)


def _collect(work: Path, globs: tuple[str, ...], room: int) -> tuple[Produced, ...]:
    """Regular files that match, in order of their paths, as many as fit."""
    wanted = [re.compile(pattern(glob)) for glob in globs]
    found: list[Produced] = []
    for path in sorted(work.rglob("*")) if wanted else ():
        name = path.relative_to(work).as_posix()
        if path.is_symlink() or not path.is_file() or not any(glob.fullmatch(name) for glob in wanted):
            continue
        status = path.stat()
        room -= status.st_size
        if room < 0:
            break
        found.append(Produced(path=name, content=path.read_bytes(), executable=bool(status.st_mode & 0o100)))
    return tuple(found)
