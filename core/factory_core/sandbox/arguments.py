"""What bubblewrap is told: which parts of the host a sandbox sees, and what its first process does."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from factory_core.contracts.sandbox import Limits, SandboxJob
from factory_core.sandbox.inside import carrier

__all__ = ["OWN_PROCESSES", "Descriptors", "bubblewrap_arguments", "interpreter", "interpreter_folder"]

HERE = Path(__file__).parent
SYSTEM_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
SEARCH_PATH = "/toolchain/bin:/usr/local/bin:/usr/bin:/bin"
NOBODY = "65534"
OWN_PROCESSES = 2
"""Bubblewrap's first process and the carrier, which the kernel counts with the command's."""


class Descriptors(NamedTuple):
    """Numbers of the file descriptors that bubblewrap and the carrier inherit."""

    info: int
    block: int
    go: int
    """The same pipe as ``block``. Bubblewrap takes its end for leave to go on, the carrier does not."""
    report: int
    seccomp: int


def interpreter() -> Path:
    """The Python that runs this, outside of any virtual environment."""
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


def interpreter_folder() -> Path:
    """What must be visible for it to run."""
    return Path(sys.base_prefix).resolve()


def bubblewrap_arguments(job: SandboxJob, fds: Descriptors) -> list[str]:
    """Everything after the program's name."""
    return [
        *("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"),
        *("--uid", NOBODY, "--gid", NOBODY, "--cap-drop", "ALL", "--hostname", "sandbox"),
        *("--seccomp", str(fds.seccomp), "--info-fd", str(fds.info), "--block-fd", str(fds.block)),
        *_environment(job),
        *_system(),
        *_writable(job.limits),
        *_mounts(job),
        # Last, since bubblewrap makes mount points on the way. Its root and /dev are memory without a limit.
        *("--remount-ro", "/proc", "--remount-ro", "/dev", "--remount-ro", "/"),
        *("--chdir", carrier.WORK, "--", str(interpreter()), "-I", "-S", "/carrier.py"),
        json.dumps(_order(job, fds)),
    ]


def _environment(job: SandboxJob) -> Iterator[str]:
    yield "--clearenv"
    basics = {"PATH": SEARCH_PATH, "HOME": "/tmp", "LANG": "C.UTF-8"}  # noqa: S108 - the private one inside
    for name, value in (basics | job.environment).items():
        yield from ("--setenv", name, value)


def _system() -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for name in SYSTEM_FOLDERS:
        folder = Path("/", name)
        if folder.is_symlink():
            yield from ("--symlink", str(folder.readlink()), str(folder))
        elif folder.is_dir():
            yield from ("--ro-bind", str(folder), str(folder))
    yield from ("--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache")
    for file in sorted((HERE / "etc").iterdir()):
        yield from ("--ro-bind", str(file), f"/etc/{file.name}")
    yield from ("--proc", "/proc", "--dev", "/dev")


def _writable(limits: Limits) -> Iterator[str]:
    sizes = {"/dev/shm": limits.tmp_bytes, "/tmp": limits.tmp_bytes, carrier.WORK: limits.work_bytes}  # noqa: S108 - inside
    for folder, size in sizes.items():
        yield from ("--size", str(size), "--tmpfs", folder)


def _mounts(job: SandboxJob) -> Iterator[str]:
    python = interpreter_folder()
    if not python.is_relative_to("/usr"):
        yield from ("--ro-bind", str(python), str(python))
    yield from ("--ro-bind", str(HERE / "inside" / "carrier.py"), "/carrier.py")
    yield from ("--ro-bind", os.fspath(job.work), carrier.INPUTS)
    for inside, outside in job.mounts.items():
        yield from ("--ro-bind", os.fspath(outside), inside)


def _order(job: SandboxJob, fds: Descriptors) -> dict[str, object]:
    limits = job.limits
    return {
        "command": job.command,
        "collect": job.collect,
        "go": fds.go,
        "report": fds.report,
        "limits": {
            "RLIMIT_AS": limits.memory_bytes,
            "RLIMIT_CPU": limits.cpu_seconds,
            "RLIMIT_FSIZE": limits.file_bytes,
            "RLIMIT_NOFILE": limits.open_files,
            "RLIMIT_NPROC": limits.processes + OWN_PROCESSES,
            "RLIMIT_CORE": 0,
        },
    }
