"""Gate ``format+lint``: nothing to complain about, and nothing to reformat."""

from __future__ import annotations

import asyncio

from msgspec import Struct, field

from factory_core.contracts.agent import Finding, FindingLevel, GateResult, Outcome, Tools, Work

from .evidence import code_of, decoded, failed, tail

__all__ = ["check_style"]

GATE = "format+lint"
LIMIT = "0 faults"
MOST_FINDINGS = 20
CLEAN, FAULTS = 0, 1


class _Place(Struct):
    row: int = 0


class _Fault(Struct):
    """One entry of ``ruff check --output-format=json``."""

    message: str
    filename: str
    code: str | None = None
    location: _Place = field(default_factory=_Place)


async def check_style(work: Work, tools: Tools) -> Outcome:
    """Passed when both halves of ruff are content."""
    code = code_of(work)
    (lint, _), (layout, _) = await asyncio.gather(
        tools.run(("ruff", "check", "--no-cache", "--output-format=json", "."), code),
        tools.run(("ruff", "format", "--no-cache", "--check", "."), code),
    )
    faults = decoded(lint.stdout, list[_Fault])
    if lint.exit_code not in (CLEAN, FAULTS) or faults is None:
        return failed(GATE, lint, LIMIT)
    if layout.exit_code not in (CLEAN, FAULTS):
        return failed(GATE, layout, LIMIT)
    untidy = [
        line for line in layout.stdout.decode(errors="replace").splitlines() if line.startswith("Would ")
    ]
    found = [
        Finding(
            level=FindingLevel.ERROR,
            code=fault.code or "syntax",
            message=fault.message,
            path=fault.filename.removeprefix("/work/"),
            line=fault.location.row,
        )
        for fault in faults
    ]
    found += [Finding(level=FindingLevel.ERROR, code="format", message=line) for line in untidy]
    passed = not found and lint.exit_code == layout.exit_code == CLEAN
    detail = (
        ""
        if passed
        else "\n".join(f"{each.path}:{each.line} {each.message}" for each in found) or tail(layout)
    )
    gate = GateResult(
        name=GATE, passed=passed, figure=f"{len(found)} faults", limit=LIMIT, detail=detail[:4000]
    )
    return Outcome(gates=(gate,), findings=tuple(found[:MOST_FINDINGS]))
