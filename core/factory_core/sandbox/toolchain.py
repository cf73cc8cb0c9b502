"""Toolchains: the locked packages that generated code stands on, fetched once and then only read.

Fetching is the one step of a build that needs a network. Nothing that is fetched runs outside the sandbox: only wheels
are taken, and every one of them must have a hash in the lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path

from msgspec import Struct

from factory_core.errors import EnvironmentUnfit
from factory_core.sandbox.arguments import interpreter
from factory_core.sandbox.programs import ended, start_program
from factory_core.settings import child_environment, read_sources

__all__ = ["INSIDE", "Toolchain", "ToolchainMissing", "list_toolchains", "prepare"]

INSIDE = "/toolchain"
"""Where a sandbox sees it."""
FOLDER = "toolchains"
LOOK_AGAIN_SECONDS = 0.2
LINES_SHOWN = 12
PASSED_ON = frozenset(
    {
        "HOME",
        "LANG",
        "NETRC",
        "PATH",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
        "TMPDIR",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
    }
)
PROXIES = frozenset({"ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"})
NOT_PASSED_ON = (
    "UV_PYTHON",
    "UV_PROJECT",
    "UV_WORKING_DIR",
    "UV_CONSTRAINT",
    "UV_OVERRIDE",
    "UV_EXCLUDE_NEWER",
)
PIP_WORDS = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_TRUSTED_HOST": "UV_INSECURE_HOST",
    "PIP_CERT": "SSL_CERT_FILE",
}
"""What a host has set up for pip holds for uv, too, unless it says otherwise."""


class ToolchainMissing(EnvironmentUnfit):
    """The locked packages could not be fetched, and no earlier fetch is there."""

    def __init__(self, lock: str, said: str) -> None:
        self.lock = lock
        super().__init__(
            f"The packages of {lock} are not here and could not be fetched:\n{said}\n"
            "Once there is a network or an index (UV_DEFAULT_INDEX), run: studio toolchain fetch"
        )


class Toolchain(Struct, frozen=True, kw_only=True):
    """A prepared environment. ``digest`` is the lock's and equal on every machine."""

    path: Path
    python: str = f"{INSIDE}/bin/python"
    digest: str

    def mounts(self) -> dict[str, Path]:
        """What a sandbox must see of the host to use it."""
        return {INSIDE: self.path}


async def prepare(
    lock: Path,
    home: Path,
    log: Callable[[str], None] = lambda _: None,
    *,
    environment: Mapping[str, str] | None = None,
) -> Toolchain:
    """The toolchain of a lock, fetched unless it is there. Of several callers one fetches and the others wait.
    Raises ToolchainMissing."""
    toolchain = _describe(lock, home)
    if _is_whole(toolchain.path):
        return toolchain
    toolchain.path.parent.mkdir(parents=True, exist_ok=True)
    async with _alone(toolchain.path.with_suffix(".lock")):
        if not _is_whole(toolchain.path):
            log(f"Fetching the toolchain of {lock.name}, once.")
            variables = environment if environment is not None else child_environment(read_sources())
            await _fetch(lock, toolchain.path, _uv_environment(variables))
            log("The toolchain is ready.")
    return toolchain


def list_toolchains(locks: Mapping[str, Path], home: Path) -> dict[str, tuple[Path, bool]]:
    """For each named lock the folder of its toolchain, and whether that is ready."""
    paths = {name: _describe(lock, home).path for name, lock in locks.items()}
    return {name: (path, _is_whole(path)) for name, path in paths.items()}


def _describe(lock: Path, home: Path) -> Toolchain:
    content = lock.read_bytes()
    # Another Python or processor needs other wheels.
    tag = f"{interpreter()} {sys.version} {platform.machine()}".encode()
    folder = hashlib.sha256(tag + b"\0" + content).hexdigest()[:32]
    return Toolchain(path=home / FOLDER / folder, digest=hashlib.sha256(content).hexdigest())


def _is_whole(path: Path) -> bool:
    """It appears under its name only when it is; its Python may have been taken away since."""
    return (path / "bin" / "python").exists()


async def _fetch(lock: Path, path: Path, environment: dict[str, str]) -> None:
    import uv

    making = path.with_name(f".making-{path.name}")
    for leftover in (making, path):
        shutil.rmtree(leftover, ignore_errors=True)
    program = uv.find_uv_bin()
    steps = (
        ("venv", "--quiet", "--no-project", "--relocatable", "--python", str(interpreter()), str(making)),
        (
            *("pip", "sync", "--quiet", "--require-hashes", "--no-build", "--compile-bytecode"),
            *("--python", str(making / "bin" / "python"), str(lock)),
        ),
    )
    try:
        for step in steps:
            await _run(program, step, making.parent, environment, lock)
        making.rename(path)
    finally:
        shutil.rmtree(making, ignore_errors=True)


async def _run(
    program: str, step: tuple[str, ...], folder: Path, environment: dict[str, str], lock: Path
) -> None:
    with tempfile.TemporaryFile() as said:
        process = start_program(
            (program, *step), folder=folder, environment=environment, stdout=said, stderr=subprocess.STDOUT
        )
        try:
            code = await ended(process)
        except BaseException:
            process.kill()
            await asyncio.shield(ended(process))
            raise
        if code:
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines()
            raise ToolchainMissing(lock.name, "\n".join(lines[-LINES_SHOWN:]))


@contextlib.asynccontextmanager
async def _alone(file: Path) -> AsyncGenerator[None]:
    """Hold a lock that the death of its holder gives back."""
    with file.open("wb") as held:
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
        yield


def _uv_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Where packages come from and whom to trust; nothing else of the studio's environment."""
    kept = {
        name: value
        for name, value in variables.items()
        if name in PASSED_ON
        or name.upper() in PROXIES
        or (name.startswith("UV_") and not name.startswith(NOT_PASSED_ON))
    }
    for theirs, ours in PIP_WORDS.items():
        if theirs in variables and ours not in kept:
            kept[ours] = variables[theirs]
    kept.setdefault("PATH", os.defpath)
    kept.setdefault("UV_SYSTEM_CERTS", "1")
    return kept
