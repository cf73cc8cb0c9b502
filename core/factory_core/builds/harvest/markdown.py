"""The report as a page for a person: first what became of each requirement, last what the machine needs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from msgspec import UNSET

from factory_core.contracts.blueprint import NodeState, RequirementState
from factory_core.plain import plain
from factory_core.planning.slugs import segments

from .report import REPORT_JSON, BuildReport, NodeRow, RunFacts

__all__ = ["report_markdown"]

_MARKS = {
    RequirementState.PROVEN: "✓ proven",
    RequirementState.BUILT: "✓ built",
    RequirementState.FAILED: "✗ failed",
    RequirementState.STUBBED: "○ stubbed",
    RequirementState.NOT_UNDERSTOOD: "? not understood",
}
# Only what would form markup is escaped, so that "->" and ">= 85 %" can be read in the raw file, too.
_SPECIAL = re.compile(r"[\\`*\[\]|~]|<(?=[A-Za-z/!?])|&(?=#?\w+;)")
_ENTITIES = {"<": "&lt;", "&": "&amp;"}


def report_markdown(report: BuildReport) -> bytes:
    """The whole page; text from the spec is shown as it is and can form no markup."""
    parts = [
        *_head(report),
        *_requirements(report),
        *_failures(report),
        *_gates(report),
        *_tracks(report),
        *_spec_lines(report),
        *_wishes(report),
        *_release(report),
        *_assumptions(report),
        *_foot(report),
    ]
    return ("\n".join(parts).rstrip() + "\n").encode(errors="replace")


def _head(report: BuildReport) -> Iterator[str]:
    if not report.passed:
        verdict = "**Failed**: see below what did not pass; nothing is handed out."
    elif report.acceptance:
        verdict = "**Passed**: every gate and every acceptance case ran and passed."
    else:
        verdict = "**Passed**: every gate ran and passed. The spec has no acceptance cases."
    counts = ", ".join(f"{report.count(state)} {state.value}" for state in RequirementState)
    yield f"# Build report: {_text(report.project.name)}"
    yield f"\n{verdict}\n"
    yield f"Made by deterministic agents, no model. Requirements: {counts}."


def _requirements(report: BuildReport) -> Iterator[str]:
    rows = (
        (f"{row.id}: {row.text}", _MARKS[row.state], "; ".join(row.evidence), str(row.line))
        for row in report.requirements
    )
    yield from _table("Requirements", ("requirement", "state", "evidence", "line"), rows)


def _failures(report: BuildReport) -> Iterator[str]:
    rows = ((row.task, row.reason) for row in report.failures if not row.optional)
    yield from _table("Tasks that failed", ("task", "reason"), rows)
    rows = ((row.task, row.reason) for row in report.failures if row.optional)
    yield from _table("Optional work that was dropped", ("task", "reason"), rows)
    found = ((row.level.value, row.code, row.message, _place(row.path, row.line)) for row in report.findings)
    yield from _table("Findings", ("level", "code", "finding", "place"), found)


def _gates(report: BuildReport) -> Iterator[str]:
    gates = ((row.name, _ended(row.passed), row.figure, row.limit) for row in report.gates)
    yield from _table("Gates", ("gate", "result", "figure", "limit"), gates)
    cases = (
        (
            row.name,
            ", ".join(row.requirement),
            _ended(row.passed) if row.ran else "did not run",
            row.reason,
            str(row.line),
        )
        for row in report.acceptance
    )
    yield from _table("Acceptance cases", ("case", "requirement", "result", "reason", "line"), cases)


def _tracks(report: BuildReport) -> Iterator[str]:
    rows = (
        (
            row.title,
            row.branch,
            row.owner,
            str(len(row.steps)),
            "; ".join(f"{_ended(gate.passed)} {gate.name}: {gate.figure}" for gate in row.gates),
            ", ".join(row.requirements),
            f"{row.base[:10]}..{row.head[:10]}" if row.merged else "not merged",
        )
        for row in report.tracks
    )
    columns = ("track", "branch", "owner", "steps", "gates", "requirements", "commits")
    yield from _table("Tracks", columns, rows)


def _release(report: BuildReport) -> Iterator[str]:
    rows = ((row.path, row.sha256[:16]) for row in report.release)
    yield from _table("Built onto a release", ("file of the release", "sha256 begins"), rows)


def _spec_lines(report: BuildReport) -> Iterator[str]:
    counts = Counter(row.state for row in report.nodes)
    said = ((state.value, str(counts[state])) for state in NodeState if counts[state])
    yield from _table("Lines of the spec", ("state", "nodes"), said)
    loud = [row for row in report.nodes if row.state in (NodeState.FAILED, NodeState.STUBBED)]
    yield from _table("Failed and stubbed lines", ("line", "node", "state"), map(_node, loud))
    quiet = [row for row in report.nodes if row.state is NodeState.NOT_UNDERSTOOD]
    sections = Counter((segments(row.path) or (row.path,))[0] for row in quiet)
    rows = ((name, str(count)) for name, count in sections.items())
    yield from _table(
        f"Not understood, by section (each line is in {REPORT_JSON})", ("section", "nodes"), rows
    )


def _wishes(report: BuildReport) -> Iterator[str]:
    missing = ((row.name, row.path or "missing") for row in report.deliverables)
    yield from _table("Deliverables", ("file", "found as"), missing)
    unmet = ((row.name, row.wanted, row.found or "not used") for row in report.technology_not_met)
    yield from _table("Technology not met", ("name", "wanted", "used"), unmet)
    targets = ((row.name, row.wanted, row.figure, row.gap or "met") for row in report.targets)
    yield from _table("Targets", ("target", "wanted", "figure", "gap"), targets)
    rounds = report.optimization
    figures = (
        () if rounds is None else ((str(rounds.asked), str(rounds.done), str(rounds.kept), rounds.ended),)
    )
    yield from _table("Rounds of optimisation", ("at most", "done", "kept", "why no more"), figures)
    kept = (
        (row.text, "respected" if row.respected else f"found: {', '.join(row.found)}")
        for row in report.do_not_build
    )
    yield from _table("Not to be built", ("what", "result"), kept)
    yield from _table(
        "References given to the agents", ("reference",), ((text,) for text in report.references)
    )


def _assumptions(report: BuildReport) -> Iterator[str]:
    rows = ((row.text, _place(row.path, row.line)) for row in report.assumptions)
    yield from _table("Assumptions", ("assumption", "place"), rows)


def _foot(report: BuildReport) -> Iterator[str]:
    plan = report.plan
    rows = [
        ("tasks", str(plan.tasks)),
        ("agents", str(plan.agents)),
        ("scale", f"{plan.scale:.2f}"),
        ("paradigm", plan.paradigm),
        ("files", str(len(report.files))),
    ]
    yield from _table("Plan", ("figure", "value"), rows)
    yield from _ways(report)
    yield from _table("Versions", ("part", "version"), sorted(report.versions.items()))
    run = report.run
    if run is not UNSET:
        facts = [("build", run.build), ("host", run.host), ("seconds", f"{run.seconds:.1f}")]
        facts += [("reused", _reused(run))] if run.reused else []
        yield from _table("This run", ("fact", "value"), [*facts, ("cost", _cost(run))])
        slowest = sorted(run.task_seconds.items(), key=lambda item: (-item[1], item[0]))[:10]
        yield from _table(
            "Longest tasks", ("task", "seconds"), ((task, f"{took:.2f}") for task, took in slowest)
        )
        # Indented, so that nothing a log holds can end the block.
        yield from (
            ("\n## Log\n", *(f"    {_one_line(line)}" for line in run.log_tail)) if run.log_tail else ()
        )


def _ways(report: BuildReport) -> Iterator[str]:
    """How the plan worked: its regions, its windows, and the agents that were called on the way."""
    plan = report.plan
    rows = ((row.name, row.paradigm, str(row.tasks), row.reason) for row in plan.regions)
    yield from _table("Regions", ("region", "paradigm", "tasks", "because"), rows)
    ended = {} if report.run is UNSET else report.run.phase_seconds
    rows = (
        (
            row.phase,
            f"{row.opens_minutes}-{row.closes_minutes} min",
            f"{row.planned_seconds:.1f} s",
            f"{ended[row.phase]:.1f} s" if row.phase in ended else "",
            "in time" if ended.get(row.phase, row.planned_seconds) <= row.closes_minutes * 60 else "late",
        )
        for row in plan.windows
    )
    yield from _table("Time windows", ("phase", "window", "planned to end", "ended", "result"), rows)
    rows = ((row.task, row.behaviour, str(row.agents)) for row in plan.added)
    yield from _table("Agents called while it ran", ("by", "behaviour", "agents"), rows)


def _cost(run: RunFacts) -> str:
    spent = (
        f"${run.nano_usd / 1e9:.4f}"
        if run.nano_usd
        else "none counted: the studio's own agents call no model"
    )
    if run.budget_nano_usd is None:
        return spent
    return f"{spent}; the quote was within the budget of ${run.budget_nano_usd / 1e9:.2f}"


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A titled table, or nothing at all when there are no rows."""
    lines = [f"| {' | '.join(_text(cell) or ' ' for cell in row)} |" for row in rows]
    if lines:
        yield f"\n## {title}\n"
        yield f"| {' | '.join(columns)} |"
        yield f"| {' | '.join('---' for _ in columns)} |"
        yield from lines


def _node(row: NodeRow) -> tuple[str, str, str]:
    return str(row.line), row.path, row.state.value


def _place(path: str, line: int) -> str:
    return f"{path} (line {line})" if path and line else path or (f"line {line}" if line else "")


def _ended(passed: bool) -> str:
    return "✓ passed" if passed else "✗ failed"


def _text(text: str) -> str:
    return _SPECIAL.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), _one_line(text))


def _reused(run: RunFacts) -> str:
    tasks = sum(not row.pieces for row in run.reused)
    pieces = sum(len(row.digests) for row in run.reused if row.pieces)
    builds = sorted({row.build for row in run.reused})
    return f"{tasks} tasks and {pieces} checks from {', '.join(builds)}; BUILD_REPORT.json lists them"


def _one_line(text: str) -> str:
    return " ".join(plain(text).split())
