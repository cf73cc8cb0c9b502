"""How a build ended: the files it left, the table of requirements, the exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from factory_core.builds.harvest.report import AcceptanceRow, GateRow, RequirementRow
from factory_core.builds.progress import Progress
from factory_core.builds.service import BuildService
from factory_core.contracts.events import BuildState
from factory_core.kernel.database import LOCAL_ORGANISATION
from factory_core.plain import said

__all__ = ["Ending", "conclude", "show_ending"]

_STYLES = {
    "proven": "green",
    "built": "cyan",
    "failed": "bold red",
    "stubbed": "yellow",
    "not understood": "dim",
}
LONGEST_TABLE = 40
MOST_CASES = 10


class Ending(Struct, frozen=True, kw_only=True):
    """What the command prints and exits with. ``gaps`` counts what is stubbed or not understood."""

    build: UUID
    state: BuildState
    exit_code: int
    reasons: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    requirements: tuple[RequirementRow, ...] = ()
    gates: tuple[GateRow, ...] = ()
    failed_cases: tuple[AcceptanceRow, ...] = ()
    """Acceptance cases that did not run or did not pass."""
    counts: dict[str, int] = {}
    gaps: int = 0


async def conclude(service: BuildService, identity: UUID, progress: Progress, out: Path) -> Ending:
    """Fetch what the build left into ``out`` and sum it up."""
    files: list[str] = []
    report: dict[str, Any] = {}
    for name, ref in sorted((await service.artifacts(LOCAL_ORGANISATION, identity)).items()):
        _, content = await service.artifact(LOCAL_ORGANISATION, identity, name)
        files.append(str(_write_whole(out, ref.name, content)))
        if ref.name == "BUILD_REPORT.json":
            report = msgspec.json.decode(content)
    failures = await service.failures(LOCAL_ORGANISATION, identity)
    cases = msgspec.convert(report.get("acceptance", ()), tuple[AcceptanceRow, ...])
    nodes = [str(node["state"]) for node in report.get("nodes", ())]
    environment = any(row.result.get("data", {}).get("environment") for row in failures)
    return Ending(
        build=identity,
        state=progress.state,
        exit_code=_exit_code(progress.state, environment=environment),
        reasons=tuple(dict.fromkeys(f"{row.id}: {row.reason}" for row in failures)),
        files=tuple(files),
        requirements=msgspec.convert(report.get("requirements", ()), tuple[RequirementRow, ...]),
        gates=msgspec.convert(report.get("gates", ()), tuple[GateRow, ...]),
        failed_cases=tuple(case for case in cases if not case.passed),
        counts={state: nodes.count(state) for state in sorted(set(nodes))},
        gaps=sum(state in ("stubbed", "not understood") for state in nodes),
    )


def _exit_code(state: BuildState, *, environment: bool) -> int:
    if state is BuildState.PASSED:
        return 0
    if state is BuildState.CANCELLED:
        return 3
    return 4 if environment else 1


def _write_whole(folder: Path, name: str, content: bytes) -> Path:
    """The file appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f".{name}.new"
    fresh.write_bytes(content)
    return fresh.replace(folder / name)


def show_ending(console: Console, ending: Ending, seconds: float) -> None:
    """For a person."""
    if ending.requirements:
        console.print(_requirements(ending))
    for gate in ending.gates:
        mark = said("✓", style="green") if gate.passed else said("✗", style="bold red")
        limit = f" (limit {gate.limit})" if gate.limit else ""
        console.print(mark, said(f"{gate.name}: {gate.figure}{limit}"))
    _show_cases(console, ending.failed_cases)
    if ending.counts:
        console.print(
            said("specification: " + ", ".join(f"{n} {state}" for state, n in ending.counts.items()))
        )
    for reason in ending.reasons[:10]:
        console.print(said(reason, style="red"))
    style = "bold green" if ending.state is BuildState.PASSED else "bold red"
    console.print(said(f"{ending.state.value} in {seconds:.1f} s", style=style))
    for file in ending.files:
        console.print(said(f"  {file}"), soft_wrap=True)
    if ending.state is BuildState.FAILED:
        console.print(said(f"To read on: studio builds logs {ending.build}"), soft_wrap=True)
    if ending.state is BuildState.CANCELLED:
        console.print(said(f"To resume: studio builds retry {ending.build}"), soft_wrap=True)
        console.print(said("Finished work is remembered, also by a new build."))


def _show_cases(console: Console, cases: tuple[AcceptanceRow, ...]) -> None:
    for case in cases[:MOST_CASES]:
        why = (f": {case.reason}" if case.reason else "") if case.ran else ": did not run"
        told = said(f"{case.name} (line {case.line}){why}")
        console.print(said("✗", style="bold red"), told, soft_wrap=True)
    if len(cases) > MOST_CASES:
        console.print(said(f"… {len(cases) - MOST_CASES} more cases in BUILD_REPORT.md"))


def _requirements(ending: Ending) -> Table:
    table = Table("requirement", "state", "evidence", title="requirements", title_justify="left")
    for line in ending.requirements[:LONGEST_TABLE]:
        text = f"{line.id}  {line.text}" if line.text else line.id
        table.add_row(
            said(text), said(line.state, style=_STYLES.get(line.state, "")), said("; ".join(line.evidence))
        )
    if len(ending.requirements) > LONGEST_TABLE:
        more = len(ending.requirements) - LONGEST_TABLE
        table.add_row(said(f"… {more} more in BUILD_REPORT.md"), said(""), said(""))
    return table
