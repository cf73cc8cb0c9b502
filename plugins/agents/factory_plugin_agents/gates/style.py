"""Gate ``format+lint``: nothing to complain about, and nothing to reformat."""

from __future__ import annotations

import asyncio

from msgspec import Struct, field

from factory_core.contracts.agent import Finding, FindingLevel, GateResult, Outcome, Tools, Work

from .evidence import code_of, decoded, failed

__all__ = ["check_style"]

GATE = "format+lint"
LIMIT = "0 faults"
MOST_FINDINGS = 20
OPTIONS = ("--no-cache", "--output-format=json")


class _Place(Struct):
    row: int = 0


class _Fault(Struct):
    """One entry of ruff's JSON."""

    message: str
    filename: str
    code: str | None = None
    location: _Place = field(default_factory=_Place)


async def check_style(work: Work, tools: Tools) -> Outcome:
    """Passed when both halves of ruff are content."""
    code = code_of(work)
    halves = await asyncio.gather(
        tools.run(("ruff", "check", *OPTIONS, "."), code),
        tools.run(("ruff", "format", "--check", *OPTIONS, "."), code),
    )
    faults: set[tuple[str, int, str, str]] = set()
    for result, _ in halves:
        told = decoded(result.stdout, list[_Fault])
        if told is None or bool(told) != bool(result.exit_code):
            return failed(GATE, result, LIMIT)
        faults |= {
            (each.filename.removeprefix("/work/"), each.location.row, each.code or "syntax", each.message)
            for each in told
        }
    found = [
        Finding(level=FindingLevel.ERROR, code=code, message=message, path=path, line=line)
        for path, line, code, message in sorted(faults)
    ]
    gate = GateResult(
        name=GATE,
        passed=not found,
        figure=f"{len(found)} faults",
        limit=LIMIT,
        detail="\n".join(f"{each.path}:{each.line} {each.message}" for each in found[:MOST_FINDINGS]),
    )
    return Outcome(gates=(gate,), findings=tuple(found[:MOST_FINDINGS]))
