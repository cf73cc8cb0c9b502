"""The spec's phases as barriers and coordinators, and which kind of work belongs into which phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from factory_core.contracts.blueprint import Blueprint, Phase, PhaseOrder
from factory_core.contracts.plan import COORDINATOR, PlannedTask
from factory_core.contracts.template import WorkSpec

from .errors import PlanError
from .graph import Edge, Graph
from .slugs import words

__all__ = ["Stage", "lay_phases", "place_work"]

_MOST = 1_000
"""Phases and phase tasks together; a plan beyond that is not readable by anyone."""

_TOPICS: tuple[tuple[str, frozenset[str]], ...] = (
    (
        "foundation",
        words("foundation setup structure scaffold design environment bootstrap analysis architecture"),
    ),
    (
        "core",
        words("core database layer model schema auth authentication api gateway backend service server"),
    ),
    ("features", words("feature view frontend ui page endpoint client screen")),
    ("integration", words("integration integrate assemble wire connect")),
    (
        "quality",
        words("quality test testing security audit documentation document docs verify validation review"),
    ),
    (
        "optimization",
        words("optimization optimisation optimize optimise optimizer tuning polish performance"),
    ),
)
_BY_STAGE: dict[str, tuple[str, ...]] = {
    "analyse": ("foundation",),
    "design": ("foundation",),
    "integrate": ("integration",),
    "test": ("quality",),
    "verify": ("quality",),
    "document": ("quality",),
}
_NEVER_OPTIONAL = frozenset({"verify", "deliver"})
"""Without its verification a build cannot pass, so time pressure never drops it."""
_FIRST = ("build", "integrate", "verify", "test", "document", "design", "analyse")
"""Which stage chooses its phase first; what comes later has to fit around it."""


class Stage(Struct, frozen=True, kw_only=True):
    """A phase laid into the graph."""

    phase: Phase
    start: str
    end: str | None
    """None when the phase does not block."""
    tasks: tuple[str, ...]

    def ends(self) -> tuple[str, ...]:
        """What has to be over before the phase is."""
        return self.tasks or (self.start,) if self.end is None else (self.end,)


def lay_phases(graph: Graph, blueprint: Blueprint) -> tuple[tuple[Stage, ...], tuple[str, ...]]:
    """Lay the phases with the order the spec gives them, and say what of it could not be followed."""
    phases = blueprint.phases
    if len(phases) + sum(len(phase.tasks) for phase in phases) > _MOST:
        raise PlanError(f"The spec has more than {_MOST} phases and phase tasks. Plan fewer, larger ones.")
    coordinators: dict[str, list[str]] = {}
    stages = tuple(_lay(graph, phase, coordinators) for phase in phases)
    said: list[str] = []
    written: list[Edge] = []
    by_phase = {stage.phase.name: stage for stage in stages}
    for stage in stages:
        for name, task in zip(stage.tasks, stage.phase.tasks, strict=True):
            for needed in task.after:
                earlier = coordinators.get(needed) or (by_phase[needed].ends() if needed in by_phase else ())
                written.extend((name, other) for other in earlier)
                if not earlier:
                    said.append(f"{task.name} waits for {needed}, which no phase has; it does not wait.")
    cycle = graph.join([*_inside(stages), *written])
    if cycle:
        raise PlanError(
            f"The phases wait for each other: {' <- '.join(cycle)}. Remove one of these dependencies."
        )
    said.extend(_block(graph, stages))
    return stages, tuple(said)


def _lay(graph: Graph, phase: Phase, coordinators: dict[str, list[str]]) -> Stage:
    start = graph.barrier(f"{phase.name}/start", phase.name, line=phase.line)
    names: list[str] = []
    for task in phase.tasks:
        name = graph.add(
            PlannedTask(
                # A name with a slash could pass for a task that the studio adds, such as "audit/verify/1".
                id="/".join(name.replace("/", "-") for name in (phase.name, task.name)),
                agent=COORDINATOR,
                title=task.name.replace("_", " "),
                team="",
                phase=phase.name,
                optional=not phase.blocking,
                line=task.line,
            )
        )
        coordinators.setdefault(task.name, []).append(name)
        names.append(name)
    end = graph.barrier(phase.name, phase.name, line=phase.line) if phase.blocking else None
    return Stage(phase=phase, start=start, end=end, tasks=tuple(names))


def _inside(stages: Sequence[Stage]) -> list[Edge]:
    edges: list[Edge] = []
    for stage in stages:
        edges.extend((name, stage.start) for name in stage.tasks)
        if stage.end is not None:
            edges.extend((stage.end, name) for name in (*stage.tasks, stage.start))
        if stage.phase.order is PhaseOrder.SEQUENTIAL:
            edges.extend(zip(stage.tasks[1:], stage.tasks[:-1], strict=True))
    return edges


def _block(graph: Graph, stages: Sequence[Stage]) -> list[str]:
    """A phase starts when the last blocking phase before it has ended, unless the written order forbids that."""
    wanted: list[tuple[Edge, str]] = []
    holding: Stage | None = None
    for stage in stages:
        if holding is not None and holding.end is not None:
            said = f"{holding.phase.name} does not hold back {stage.phase.name}: its own tasks wait for that phase."
            wanted.append(((stage.start, holding.end), said))
        if stage.end is not None:
            holding = stage
    if not graph.join(edge for edge, _ in wanted):
        return []
    return [said for edge, said in wanted if graph.join([edge])]


def place_work(
    graph: Graph, stages: Sequence[Stage], works: Sequence[WorkSpec], tasks: Mapping[str, Sequence[str]]
) -> None:
    """Put each kind of work into the phase its words fit, as long as no order of its own forbids it."""
    waited_for = {name for work in works if work.stage != "deliver" for name in work.after}
    choices = [
        (_FIRST.index(work.stage) if work.stage in _FIRST else len(_FIRST), index, work)
        for index, work in enumerate(works)
        if work.stage != "deliver" and tasks.get(work.name)
    ]
    for _, _, work in sorted(choices, key=lambda choice: choice[:2]):
        droppable = work.name not in waited_for and work.stage not in _NEVER_OPTIONAL
        for stage in _candidates(work, stages):
            if stage.end is None and not droppable:
                continue
            edges: list[Edge] = [(name, stage.start) for name in tasks[work.name]]
            if stage.end is not None:
                edges.extend((stage.end, name) for name in tasks[work.name])
            if not graph.join(edges):
                graph.change(tasks[work.name], phase=stage.phase.name, optional=stage.end is None)
                break


def _candidates(work: WorkSpec, stages: Sequence[Stage]) -> list[Stage]:
    """The phases that fit, best first; of equal ones the earlier."""
    found: list[Stage] = []
    for topic in _topics_of(work):
        scored = [(-_score(stage.phase, topic), index) for index, stage in enumerate(stages)]
        found.extend(stages[index] for score, index in sorted(scored) if score < 0)
    return found


def _topics_of(work: WorkSpec) -> tuple[str, ...]:
    if words(work.name, work.agent) & dict(_TOPICS)["optimization"]:
        return ("optimization",)
    if work.stage in _BY_STAGE:
        return _BY_STAGE[work.stage]
    if work.each in ("endpoint", "view") or "frontend" in words(work.team):
        return ("features",)
    return ("core",) if work.each == "entity" else ("foundation", "core", "features", "integration")


def _score(phase: Phase, topic: str) -> int:
    """The phase's own name says three times as much as that of one of its tasks."""
    signs = dict(_TOPICS)[topic]
    return 3 * len(words(phase.name) & signs) + sum(len(words(task.name) & signs) for task in phase.tasks)
