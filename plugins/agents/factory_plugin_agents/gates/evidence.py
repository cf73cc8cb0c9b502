"""What the gates share: reading what a command printed, and saying how it ended."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from factory_core.contracts.agent import GateResult, Outcome, Work
from factory_core.contracts.files import FileRef, Produced
from factory_core.contracts.sandbox import SandboxResult

__all__ = ["code_of", "decoded", "failed", "inside", "script", "tail"]

LAST_LINES = 25
LONGEST_LINE = 300
AnswerT = TypeVar("AnswerT")


def tail(result: SandboxResult) -> str:
    """The last lines of what a command said, and what ended it."""
    said = (result.stdout + b"\n" + result.stderr).decode(errors="replace").strip().splitlines()
    lines = [line[:LONGEST_LINE] for line in said[-LAST_LINES:]]
    if result.killed:
        lines.append(f"It was ended: {result.killed}.")
    return "\n".join(lines)


def failed(gate: str, result: SandboxResult, limit: str) -> Outcome:
    """The gate could not be measured, which is not a pass."""
    return Outcome(
        gates=(GateResult(name=gate, passed=False, figure="did not run", limit=limit, detail=tail(result)),)
    )


def decoded(content: bytes | None, kind: type[AnswerT]) -> AnswerT | None:
    """An answer out of the sandbox; None when there is none or it is not what was asked for."""
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.MsgspecError:
        return None


def inside(name: str) -> Produced:
    """A script of ours as a file of the sandbox's work folder."""
    return Produced(path=f".gate/{name}", content=script(name))


def script(name: str) -> bytes:
    """The text of a script that runs inside."""
    return (Path(__file__).parent / "inside" / name).read_bytes()


def code_of(work: Work) -> tuple[FileRef, ...]:
    """The Python files and what configures the tools that read them."""
    return tuple(ref for ref in work.inputs if ref.path.endswith(".py") or ref.path == "pyproject.toml")
