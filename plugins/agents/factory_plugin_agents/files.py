"""Questions about files that several agents ask."""

from __future__ import annotations

from factory_core.contracts.agent import Tools, Work
from factory_core.contracts.files import FileRef, Produced

__all__ = ["differs", "released"]


def released(ref: FileRef, work: Work) -> bool:
    """Whether the file is one of the release's, which stays byte for byte."""
    return any((ref.path, ref.digest) == (kept.path, kept.digest) for kept in work.release)


async def differs(file: Produced, ref: FileRef, tools: Tools) -> bool:
    """Whether the file is another than the one it was made from."""
    return len(file.content) != ref.size or file.content != await tools.read(ref)
