"""A build's workspace: a folder of its own with a git repository, main checked out and each track in a worktree.

It holds nothing that the journal and the store of files do not know: a worker that finds none, or a half-written one, lays
it out anew. So it is written without care for power cuts and removed without regret when its build has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from factory_core.builds.harvest.objects import index_bytes, object_path
from factory_core.builds.harvest.workspace import GIT_CONFIG, GIT_HEAD, PACKED_REFS, Repository, packed_refs
from factory_core.contracts.files import Produced
from factory_core.finishing import to_the_end

__all__ = ["Workspace", "Workspaces"]

FOLDER = "work/builds"
HELD = ".held"
LOOK_AGAIN_SECONDS = 0.02

Running = Callable[[Sequence[UUID]], Awaitable[frozenset[UUID]]]
"""Which of these builds have not ended."""


class Workspace:
    """One build's folder, held by one attempt at a time."""

    def __init__(self, folder: Path) -> None:
        self.main = folder / "main"
        self._tracks = folder / "tracks"
        self._git = self.main / ".git"

    async def begin(
        self,
        repository: Repository,
        tree: Mapping[str, Produced],
        track: str,
        branch: str,
        files: Iterable[Produced],
    ) -> None:
        """Check out main as it is known, and the track's new files beside it in a worktree of its branch, uncommitted."""
        await _in_a_thread(self._begin, repository, tree, track, branch, tuple(files))

    async def merge(
        self, repository: Repository, tree: Mapping[str, Produced], track: str, branch: str
    ) -> None:
        """The branch as committed, then main moved forward to it."""
        await _in_a_thread(self._merge, repository, tree, track, branch)

    def _begin(
        self,
        repository: Repository,
        tree: Mapping[str, Produced],
        track: str,
        branch: str,
        files: tuple[Produced, ...],
    ) -> None:
        self._store(repository, {**repository.tips, branch: repository.head})
        self._check_out_main(repository, tree)
        worktree = self._tracks / track
        shutil.rmtree(worktree, ignore_errors=True)
        _lay_out(worktree, {**tree, **{file.path: file for file in files}})
        _write(worktree / ".git", f"gitdir: {self._admin(track)}\n".encode())
        self._describe(track, branch, repository)

    def _merge(self, repository: Repository, tree: Mapping[str, Produced], track: str, branch: str) -> None:
        worktree = self._tracks / track
        self._store(repository, repository.tips)
        _lay_out(worktree, tree)
        self._describe(track, branch, repository)
        self._check_out_main(repository, tree)

    def _store(self, repository: Repository, tips: Mapping[str, str]) -> None:
        for name in repository.store:
            path = self._git / object_path(name)
            if not path.exists():
                _write(path, repository.store.loose(name))
        _write(self._git / "config", GIT_CONFIG)
        _write(self._git / "HEAD", GIT_HEAD)
        _write(self._git / PACKED_REFS, packed_refs(tips))

    def _check_out_main(self, repository: Repository, tree: Mapping[str, Produced]) -> None:
        _write(self._git / "index", index_bytes(repository.blobs))
        _lay_out(self.main, tree)
        _write(self._git / "refs/heads/main", f"{repository.head}\n".encode())

    def _admin(self, track: str) -> Path:
        return self._git / "worktrees" / track

    def _describe(self, track: str, branch: str, repository: Repository) -> None:
        """What git keeps of a worktree beside it."""
        admin = self._admin(track)
        _write(admin / "HEAD", f"ref: refs/heads/{branch}\n".encode())
        _write(admin / "commondir", b"../..\n")
        _write(admin / "gitdir", f"{self._tracks / track / '.git'}\n".encode())
        _write(admin / "index", index_bytes(repository.blobs))


class Workspaces:
    """The workspaces of one home folder, which several workers may share."""

    def __init__(self, home: Path) -> None:
        self._folder = home / FOLDER

    @contextlib.asynccontextmanager
    async def open(self, build: UUID) -> AsyncGenerator[Workspace]:
        """The build's workspace, made if there is none. Whoever comes second waits; the death of its holder frees it."""
        folder = self._folder / str(build)
        held = await _held(folder)
        try:
            yield Workspace(folder)
        finally:
            held.close()

    def builds(self) -> tuple[UUID, ...]:
        """Those that have a workspace here."""
        with contextlib.suppress(FileNotFoundError):
            return tuple(sorted(UUID(path.name) for path in self._folder.iterdir() if _is_id(path.name)))
        return ()

    async def remove(self, build: UUID) -> bool:
        """Take it away, unless an attempt holds it."""
        folder = self._folder / str(build)
        try:
            with (folder / HELD).open("rb") as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                await _in_a_thread(shutil.rmtree, folder)
        except FileNotFoundError:  # none, or one that was given up while it was made
            await _in_a_thread(shutil.rmtree, folder, True)
            return False
        except OSError:
            return False
        return True

    async def sweep(self, running: Running) -> int:
        """Take away those of builds that have ended or that nobody knows: how many."""
        found = self.builds()
        if not found:
            return 0
        kept = await running(found)
        return sum([await self.remove(build) for build in found if build not in kept])


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


async def _held(folder: Path) -> IO[bytes]:
    """The lock of a folder that is there. It is free as soon as the file is closed."""
    while (held := _try_to_hold(folder)) is None:  # noqa: ASYNC110 - another process gives it back
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
    return held


def _try_to_hold(folder: Path) -> IO[bytes] | None:
    """None when another holds it, or sweeps it away right now."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        held = (folder / HELD).open("ab")
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(held.fileno()), (folder / HELD).stat()):
            return held
    except OSError:
        pass
    held.close()
    return None


async def _in_a_thread(work: Callable[..., Any], *arguments: Any) -> None:
    """To its end, also when cancelled: the lock must not be given back before."""
    await to_the_end(asyncio.to_thread(work, *arguments))


def _lay_out(folder: Path, tree: Mapping[str, Produced]) -> None:
    """Make the folder hold exactly these files, besides ``.git``."""
    wanted = {folder / path for path in tree}
    for path in sorted(folder.rglob("*"), reverse=True) if folder.exists() else ():
        is_folder = path.is_dir() and not path.is_symlink()
        if path.relative_to(folder).parts[0] == ".git" or (path in wanted and not is_folder):
            continue
        if is_folder:
            with contextlib.suppress(OSError):  # it holds something that is wanted
                path.rmdir()
        else:
            path.unlink()
    for path, file in tree.items():
        target = folder / path
        if not target.is_file() or target.read_bytes() != file.content:
            _write(target, file.content)
        target.chmod(0o755 if file.executable else 0o644)


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, so that what is there need not be looked at again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    making = path.with_name(f".making-{path.name}"[:255])
    making.write_bytes(content)
    making.replace(path)
