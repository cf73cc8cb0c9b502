"""A start that fails or is cancelled at any point leaves no process, no open file and nobody waiting."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from typing import Any

import pytest
import uvloop

from factory_core.contracts.sandbox import SandboxJob
from factory_core.sandbox import container
from factory_core.sandbox.arguments import interpreter
from factory_core.sandbox.bubblewrap import find_bubblewrap
from factory_core.sandbox.probe import find_processes

SEALED = """
import os
for how in (os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
    try:
        os.write(os.open("/proc/self/fd/0", how), b"changed" * 1000)
        print("changed")
    except OSError:
        pass
try:
    os.ftruncate(0, 1 << 20)
    print("longer")
except OSError:
    pass
print(os.read(0, 100).decode())
"""


def open_files() -> set[str]:
    return {path.readlink().as_posix() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}


def ours(files: set[str]) -> set[str]:
    return {name for name in files if "pipe:" in name or "memfd" in name or "(deleted)" in name}


@pytest.fixture(params=["uvloop", "asyncio"])
def runs(request: Any) -> Any:
    return uvloop.run if request.param == "uvloop" else asyncio.run


@pytest.mark.parametrize("step", ["_hold", "_bound", "_pipe"])
def test_a_start_that_fails_ends(
    step: str, runs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(container._Container, step, fails)
    before = find_processes("bwrap")

    async def main() -> None:
        job = SandboxJob(command=("/bin/sleep", "600"), work=tmp_path)
        files = open_files()
        with pytest.raises(OSError, match="Too many"):
            await asyncio.wait_for(container.contain(find_bubblewrap(), job), 60)
        await asyncio.sleep(0)  # transports close when the loop comes round
        assert ours(open_files()) <= ours(files)

    runs(main())
    assert find_processes("bwrap") == before


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 40])
def test_a_start_that_is_cancelled_twice_ends(turns: int, runs: Any, tmp_path: Path) -> None:
    before = find_processes("bwrap")

    async def main() -> None:
        job = SandboxJob(command=("/bin/sleep", "600"), work=tmp_path)
        running = asyncio.create_task(container.contain(find_bubblewrap(), job))
        for _ in range(2):
            for _ in range(turns):
                await asyncio.sleep(0)
            running.cancel()
        done, _ = await asyncio.wait((running,), timeout=60)
        assert done
        assert running.cancelled()

    runs(main())
    assert find_processes("bwrap") == before


def test_nobody_can_change_what_is_read(runs: Any, tmp_path: Path) -> None:
    job = SandboxJob(
        command=(str(interpreter()), "-I", "-S", "-c", SEALED), work=tmp_path, stdin=b"as it was"
    )
    result = runs(container.contain(find_bubblewrap(), job))
    assert result.stdout == b"as it was\n", result.stderr
