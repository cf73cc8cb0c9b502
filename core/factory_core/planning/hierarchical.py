"""What every plan starts from: kinds of work times nodes, under the spec's phases, teams and cap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from msgspec import Struct
from msgspec.structs import replace

from factory_core.contracts.blueprint import Blueprint
from factory_core.contracts.plan import BARRIER, QUIET, Plan, PlannedTask, Region, counts
from factory_core.contracts.template import TemplatePackage, WorkSpec

from .applied import bump_for, paths_applied
from .errors import PlanError
from .graph import MOST_EDGES, Edge, Graph, critical_path
from .phases import lay_phases, place_work
from .pieces import Node, Piece, nodes_of, pieces_of, share_out
from .quote import compare_windows, make_quote
from .teams import Crew, form_crew
from .templates import faults_of_work

__all__ = ["Sketch", "complete", "lay_out"]

Covered = tuple[str, Piece]
"""A task's id with what it covers."""
Laid = dict[str, tuple[Covered, ...]]
"""``work -> its tasks``."""


class Sketch(Struct, frozen=True, kw_only=True):
    """All that a plan takes from the template and the spec, its tasks not yet ordered by a way of working."""

    graph: Graph
    needs: dict[str, tuple[str, ...]]
    """``task -> what its work stands after``, phases left out."""
    works: tuple[WorkSpec, ...]
    crew: Crew
    cap: int
    asked: int
    """How many agents there would be without a cap."""
    said: tuple[str, ...]


def lay_out(blueprint: Blueprint, template: TemplatePackage, max_agents: int | None) -> Sketch:
    """One task for each node of each kind of work. Raises PlanError when the template cannot build this blueprint."""
    for fault in faults_of_work(template.manifest.work):
        raise PlanError(f"Template {template.manifest.name} cannot be planned: {fault}")
    works = tuple(work for work in template.manifest.work if not work.on)
    limit = blueprint.constraints.max_agents
    cap = limit if max_agents is None else min(limit, max_agents)
    nodes = nodes_of(blueprint)
    crew = form_crew(blueprint, works, cap)
    slots = share_out(works, nodes, cap, _weights(blueprint, works, crew))
    graph = Graph()
    stages, said = lay_phases(graph, blueprint)
    laid = _lay_work(graph, works, nodes, slots, crew, blueprint)
    _order_work(graph, works, laid)
    quiet = {task.id for task in graph.tasks() if task.agent in QUIET and task.phase in _names(blueprint)}
    needs = {name: after for name, after in graph.edges().items() if name not in quiet}
    place_work(graph, stages, works, {name: [task for task, _ in each] for name, each in laid.items()})
    _deliver_last(graph, works, laid)
    asked = sum(len(nodes[work.each]) if work.each != "project" else 1 for work in works)
    return Sketch(graph=graph, needs=needs, works=works, crew=crew, cap=cap, asked=asked, said=said)


def complete(
    sketch: Sketch,
    blueprint: Blueprint,
    tasks: tuple[PlannedTask, ...],
    *,
    paradigm: str,
    regions: tuple[Region, ...] = (),
    said: tuple[str, ...] = (),
    behaviours: dict[str, int] | None = None,
) -> Plan:
    """The plan of these tasks, in topological order and with their final priorities, with all that is told about it."""
    quote = make_quote(tasks)
    granted = quote.agents - sum(task.params.get("work") is None for task in tasks if counts(task.agent))
    filled: dict[str, int] = {}
    for task in tasks:
        if counts(task.agent):
            filled[task.team] = filled.get(task.team, 0) + 1
    plan = Plan(
        tasks=tasks,
        teams=sketch.crew.with_manifest(sketch.works, filled),
        phases=tuple(dict.fromkeys(task.phase for task in tasks)),
        critical_path=critical_path(tasks),
        quote=quote,
        scale=sketch.crew.scale,
        paradigm=paradigm,
        assumptions=(
            *sketch.crew.assumptions,
            *_said_of_cap(sketch.asked, granted, sketch.cap),
            *said,
            *sketch.said,
            *compare_windows(blueprint, tasks, quote),
        ),
        regions=regions,
        behaviours=behaviours or {},
    )
    return replace(plan, applied=paths_applied(blueprint, plan, sketch.crew, capped=sketch.asked > granted))


def _names(blueprint: Blueprint) -> frozenset[str]:
    return frozenset(phase.name for phase in blueprint.phases)


def _weights(blueprint: Blueprint, works: Sequence[WorkSpec], crew: Crew) -> dict[str, float]:
    """Under a cap that is too low, larger shares and lower spawn thresholds get more of the agents."""
    weights: dict[str, float] = {}
    for work in works:
        percent = crew.percent_for(work)
        threshold = blueprint.hints.spawn_thresholds.get(work.agent, 0.5)
        weights[work.name] = (1.0 if percent is None else percent / 25) * (
            1.5 - min(1.0, max(0.0, threshold))
        )
    return weights


def _lay_work(
    graph: Graph,
    works: Sequence[WorkSpec],
    nodes: Mapping[str, tuple[Node, ...]],
    slots: Mapping[str, int],
    crew: Crew,
    blueprint: Blueprint,
) -> Laid:
    laid: Laid = {}
    for work in works:
        pieces = pieces_of(work, nodes[work.each], slots[work.name]) if work.name in slots else ()
        bump = bump_for(work.agent, blueprint.hints)
        laid[work.name] = tuple(
            (graph.add(replace(piece.task(team=crew.team_for(piece)), priority=bump)), piece)
            for piece in pieces
        )
    return laid


def _order_work(graph: Graph, works: Sequence[WorkSpec], laid: Laid) -> None:
    """Lay the edges of ``after``. The manifest was checked, so they close no cycle."""
    by_name = {work.name: work for work in works}
    gathered: dict[str, str] = {}
    edges: list[Edge] = []
    for work in works:
        for earlier, equal_nodes in _before(work, by_name, laid).items():
            later_tasks, earlier_tasks = laid[work.name], laid[earlier]
            if equal_nodes:
                edges.extend(_equal_nodes(later_tasks, earlier_tasks))
            elif len(later_tasks) * len(earlier_tasks) > MOST_EDGES:
                if earlier not in gathered:
                    gathered[earlier] = graph.barrier(f"{earlier}/all", by_name[earlier].stage)
                    edges.extend((gathered[earlier], other) for other, _ in earlier_tasks)
                edges.extend((later, gathered[earlier]) for later, _ in later_tasks)
            else:
                edges.extend((later, other) for later, _ in later_tasks for other, _ in earlier_tasks)
    graph.join(edges)


def _before(work: WorkSpec, by_name: Mapping[str, WorkSpec], laid: Laid) -> dict[str, bool]:
    """The works whose tasks come before this one's, and whether only those of equal nodes do.

    Work without tasks hands on what it stands after, since its place in the order was meant."""
    found: dict[str, bool] = {}
    waiting = [(name, True) for name in reversed(work.after)]
    seen: set[str] = set()
    while waiting:
        name, direct = waiting.pop()
        if laid[name]:
            equal = direct and work.each == by_name[name].each != "project"
            found[name] = equal and found.get(name, True)
        elif name not in seen:
            seen.add(name)
            waiting.extend((other, False) for other in reversed(by_name[name].after))
    return found


def _equal_nodes(later: Iterable[Covered], earlier: Iterable[Covered]) -> list[Edge]:
    owner = {node.slug: name for name, piece in earlier for node in piece.nodes}
    return [(name, owner[node.slug]) for name, piece in later for node in piece.nodes]


def _deliver_last(graph: Graph, works: Sequence[WorkSpec], laid: Laid) -> None:
    """The delivery stands after every single task, not only after the last ones: what is skipped because of an early
    failure ends at once, while work beside it still runs."""
    delivery = [task for work in works if work.stage == "deliver" for task, _ in laid[work.name]]
    others = [task.id for task in graph.tasks() if task.agent != BARRIER and task.id not in delivery]
    graph.join(product(delivery, others))


def _said_of_cap(asked: int, agents: int, cap: int) -> tuple[str, ...]:
    if asked <= agents:
        return ()
    return (
        f"{asked} pieces of work could run alone, max_agents is {cap}: they are grouped into {agents} tasks.",
    )
