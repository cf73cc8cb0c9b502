"""The build report: what became of every line of the spec, and how that is known.

``BuildReport`` is its form; ``docs/reference/build-report.schema.json`` is generated from it.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from factory_core.contracts.agent import FindingLevel
from factory_core.contracts.blueprint import NodeState, RequirementState

__all__ = [
    "REPORT_JSON",
    "REPORT_MARKDOWN",
    "AcceptanceRow",
    "AddedRow",
    "AssumptionRow",
    "BuildReport",
    "DeliverableRow",
    "FailureRow",
    "FileRow",
    "FindingRow",
    "GateRow",
    "NodeRow",
    "NotBuiltRow",
    "OptimizationRow",
    "PlanFigures",
    "ProjectFacts",
    "RegionRow",
    "ReleaseRow",
    "RequirementRow",
    "ReusedRow",
    "RunFacts",
    "StepRow",
    "TargetRow",
    "TechnologyRow",
    "TrackRow",
    "WindowRow",
    "report_json",
    "report_schema",
]

REPORT_JSON = "BUILD_REPORT.json"
REPORT_MARKDOWN = "BUILD_REPORT.md"


class ProjectFacts(Struct, frozen=True, kw_only=True):
    """The product the report is about."""

    name: str
    slug: str
    template: str


class RequirementRow(Struct, frozen=True, kw_only=True):
    """A requirement of the spec, its state, and each fact that state rests on."""

    id: str
    text: str
    line: int
    state: RequirementState
    evidence: tuple[str, ...] = ()


class NodeRow(Struct, frozen=True, kw_only=True):
    """A scalar leaf, empty container or agent hint of the spec; each is listed once."""

    path: str
    line: int
    state: NodeState


class FileRow(Struct, frozen=True, kw_only=True):
    """A file of the project and the task that made it. The report itself and ``.git`` are not listed."""

    path: str
    sha256: str
    producer: str


class ReleaseRow(Struct, frozen=True, kw_only=True):
    """A file of the release that the build stands on."""

    path: str
    sha256: str


class GateRow(Struct, frozen=True, kw_only=True):
    """A check that ran, what it measured and what it asks for."""

    name: str
    passed: bool
    figure: str
    limit: str


class StepRow(Struct, frozen=True, kw_only=True):
    """A task of a track and its checkpoint: the commit that ends it, empty when it made no file or was not merged."""

    task: str
    title: str
    commit: str
    files: int


class TrackRow(Struct, frozen=True, kw_only=True):
    """A line of work with a branch and an owner. ``base..head`` are its commits; main was moved forward to ``head``."""

    name: str
    title: str
    branch: str
    owner: str
    merged: bool
    base: str
    head: str
    steps: tuple[StepRow, ...]
    gates: tuple[GateRow, ...]
    """What had to pass before the merge."""
    requirements: tuple[str, ...]
    """With ``cases`` the criteria by which its work is judged: what its steps cover, and the cases that prove it."""
    cases: tuple[str, ...]


class AcceptanceRow(Struct, frozen=True, kw_only=True):
    """An acceptance case of the spec. One that did not run has not passed."""

    name: str
    requirement: tuple[str, ...]
    passed: bool
    ran: bool
    line: int = 0
    """Of the spec: where the step stands that failed, or else the case."""
    reason: str = ""
    """Why it failed: what its step asked for and what was answered."""


class AssumptionRow(Struct, frozen=True, kw_only=True):
    """Something that reader or planner filled in; ``line`` is 0 where no single line is meant."""

    text: str
    path: str = ""
    line: int = 0


class RegionRow(Struct, frozen=True, kw_only=True):
    """A stretch of the plan with a way of working of its own, and what decided on it."""

    name: str
    paradigm: str
    tasks: int
    reason: str


class AddedRow(Struct, frozen=True, kw_only=True):
    """Agents that a task called while the build ran: by which behaviour, such as ``debugger``, and how many."""

    behaviour: str
    task: str
    agents: int


class WindowRow(Struct, frozen=True, kw_only=True):
    """A phase with a time window, in minutes as the spec says it, and when the plan has it end, in seconds."""

    phase: str
    opens_minutes: int
    closes_minutes: int
    planned_seconds: float


class PlanFigures(Struct, frozen=True, kw_only=True):
    """The plan in figures: all tasks, those with an agent, agents granted over agents asked for; how it works, and what
    came to it while it ran."""

    tasks: int
    agents: int
    scale: float
    paradigm: str = "hierarchical"
    regions: tuple[RegionRow, ...] = ()
    windows: tuple[WindowRow, ...] = ()
    added: tuple[AddedRow, ...] = ()


class TechnologyRow(Struct, frozen=True, kw_only=True):
    """A ``technology:`` line that the template does not follow. ``found`` is its own version, empty when it has none."""

    name: str
    wanted: str
    found: str


class DeliverableRow(Struct, frozen=True, kw_only=True):
    """A file the spec's deliverables name, and the first path that is it; empty when it is missing."""

    name: str
    present: bool
    path: str


class NotBuiltRow(Struct, frozen=True, kw_only=True):
    """A ``do_not_build`` line, and the tasks, files and technologies that carry all of its words."""

    text: str
    respected: bool
    found: tuple[str, ...]


class TargetRow(Struct, frozen=True, kw_only=True):
    """A target, what came out, and the distance; an empty gap means the target was met."""

    name: str
    wanted: str
    figure: str
    gap: str


class OptimizationRow(Struct, frozen=True, kw_only=True):
    """Rounds of optimisation: asked for at most, done, and kept since every check passed and something measured became
    better; and why there were no more."""

    asked: int
    done: int
    kept: int
    ended: str


class FindingRow(Struct, frozen=True, kw_only=True):
    """Something an agent noticed."""

    level: FindingLevel
    code: str
    message: str
    path: str
    line: int


class FailureRow(Struct, frozen=True, kw_only=True):
    """A task that did not end well, and why. ``optional`` ones were dropped, which fails no build."""

    task: str
    reason: str
    optional: bool = False


class ReusedRow(Struct, frozen=True, kw_only=True):
    """Something that was not done again, since equal work was done before: a task, or ``pieces`` of what a task checks.
    ``digests`` is over everything it follows from."""

    task: str
    build: str
    """The build that did it."""
    digests: tuple[str, ...]
    pieces: bool


class RunFacts(Struct, frozen=True, kw_only=True):
    """What differs from run to run; only in the copy beside the archive."""

    build: str
    host: str
    seconds: float
    nano_usd: int
    """What agents reported to have spent. Always 0: the studio's own spend nothing, and there is no way to report it yet."""
    task_seconds: dict[str, float]
    log_tail: tuple[str, ...]
    reused: tuple[ReusedRow, ...] = ()
    phase_seconds: dict[str, float] = {}
    """When the last task of each phase had ended, from the order of the build on."""
    onto: str = ""
    """The build whose artifact is the release; empty for none, and for an archive that was handed in."""
    budget_nano_usd: int | None = None
    """What the plan's quote was compared with before the build started; None: the specification names no budget."""


class BuildReport(Struct, frozen=True, kw_only=True):
    """``BUILD_REPORT.json``. Without ``run`` it holds only what follows from spec, studio, template and toolchain."""

    format: int = 1
    passed: bool
    """Every gate and every acceptance case ran and passed, and no task failed that was not optional."""
    project: ProjectFacts
    requirements: tuple[RequirementRow, ...]
    nodes: tuple[NodeRow, ...]
    files: tuple[FileRow, ...]
    gates: tuple[GateRow, ...]
    acceptance: tuple[AcceptanceRow, ...]
    assumptions: tuple[AssumptionRow, ...]
    plan: PlanFigures
    versions: dict[str, str]
    """``studio``, ``template``, ``toolchain`` and whatever else decided the bytes."""
    technology_not_met: tuple[TechnologyRow, ...]
    deliverables: tuple[DeliverableRow, ...]
    do_not_build: tuple[NotBuiltRow, ...]
    targets: tuple[TargetRow, ...]
    references: tuple[str, ...]
    findings: tuple[FindingRow, ...]
    failures: tuple[FailureRow, ...]
    tracks: tuple[TrackRow, ...] = ()
    """In the order their branches were merged into main."""
    optimization: OptimizationRow | None = None
    """None where the spec asks for no optimisation."""
    release: tuple[ReleaseRow, ...] = ()
    """What was read of the release that the build stands on; nothing when it stands on none."""
    run: RunFacts | UnsetType = UNSET

    def count(self, state: RequirementState) -> int:
        """How many requirements ended in this state."""
        return sum(row.state is state for row in self.requirements)


def report_json(report: BuildReport) -> bytes:
    """Canonical JSON: keys sorted, two spaces, a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(report, order="sorted"), indent=2) + b"\n"


def report_schema() -> bytes:
    """The JSON Schema (2020-12) of the report, as it is published."""
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Factory Studio build report",
        **msgspec.json.schema(BuildReport),
    }
    return msgspec.json.format(msgspec.json.encode(schema, order="sorted"), indent=2) + b"\n"
