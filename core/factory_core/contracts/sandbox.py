"""Where generated code runs, and what bounds it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from msgspec import Struct

__all__ = ["HostShare", "Limits", "ProbeRow", "Sandbox", "SandboxJob", "SandboxResult"]


class Limits(Struct, frozen=True, kw_only=True):
    """Bounds of one run. Sizes in bytes, times in seconds."""

    wall_seconds: float = 60.0
    cpu_seconds: int = 60
    memory_bytes: int = 1 << 30
    processes: int = 64
    """At once; a command that asks for more as often as this is ended."""
    file_bytes: int = 100 << 20
    """Largest single file."""
    tmp_bytes: int = 64 << 20
    """Size of the private /tmp."""
    work_bytes: int = 256 << 20
    """What may be written in the work folder, all files together."""
    open_files: int = 256
    output_bytes: int = 1 << 20
    """How much of stdout and of stderr is kept; the rest is counted and dropped."""


class HostShare(Struct, frozen=True, kw_only=True):
    """What all commands of one organisation, or of one project, get together of one worker host."""

    name: str
    """Whose it is: any text that nobody else on the host has."""
    weight: int = 1
    """The processor is divided in proportion to the weights of those beside it that want it; above 100 counts as 100."""
    max_memory: int | None = None
    """Bytes that they may hold at once; None is no limit. Past it the kernel ends one of them, and nobody else's."""

    def __post_init__(self) -> None:
        """Raises ValueError for a weight below 1."""
        if self.weight < 1:
            raise ValueError(f"A share weighs 1 or more, not {self.weight}.")


class SandboxJob(Struct, frozen=True, kw_only=True):
    """One command. It sees ``work`` read-write at /work (its current folder), each of ``mounts`` read-only, and nothing
    else of the host but the system's libraries and the interpreter."""

    command: tuple[str, ...]
    work: Path
    mounts: dict[str, Path] = {}
    """``path inside -> folder outside``, read-only."""
    environment: dict[str, str] = {}
    """The whole environment besides PATH, HOME=/tmp and LANG."""
    limits: Limits = Limits()
    stdin: bytes = b""
    collect: tuple[str, ...] = ("**",)
    """Path globs of the new and changed regular files that are brought back to ``work`` when the command has ended."""
    shares: tuple[HostShare, ...] = ()
    """Whose command it is, outermost first: the organisation, then the project. Where the host lets no control groups be
    made in others, they are not kept (``studio doctor`` says so)."""


class SandboxResult(Struct, frozen=True, kw_only=True):
    """How the command ended. ``exit_code`` is negative for a signal. ``killed`` names the bound that ended it."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    seconds: float
    killed: str = ""
    """``""``, ``wall``, ``memory``, ``disk``, ``processes`` or ``cancelled``."""
    dropped_bytes: int = 0


class ProbeRow(Struct, frozen=True, kw_only=True):
    """One thing the sandbox must refuse, and whether it did."""

    name: str
    refused: bool
    detail: str = ""


class Sandbox(Protocol):
    """A backend. What it cannot contain it does not run."""

    name: str

    async def probe(self) -> tuple[ProbeRow, ...]:
        """Try every escape with canaries. All rows must be ``refused`` before ``run`` may be used."""
        ...

    async def run(self, job: SandboxJob) -> SandboxResult:
        """Run and wait. Cancelling the call kills every process of the job. Raises SandboxUnavailable."""
        ...
