"""The planner: what a template's work needs, laid out by the ways of working that suit the specification."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from factory_core.contracts.blueprint import Blueprint
from factory_core.contracts.plan import Arrangement, Draft, Paradigm, Plan, PlannedTask, Region, counts
from factory_core.contracts.template import TemplatePackage

from .errors import PlanError
from .graph import Graph
from .hierarchical import complete, lay_out
from .paradigms import HIERARCHICAL, Choice, choose
from .quote import CORES
from .switches import reserve

__all__ = ["HierarchicalPlanner", "StudioPlanner"]


class StudioPlanner:
    """Chooses a paradigm for each region of the graph; implements ``contracts.plan.Planner``."""

    name = "studio"

    def __init__(self, paradigms: Iterable[Paradigm] = ()) -> None:
        self._paradigms: Mapping[str, Paradigm] = {paradigm.name: paradigm for paradigm in paradigms}

    def plan(self, blueprint: Blueprint, template: TemplatePackage, *, max_agents: int | None = None) -> Plan:
        """Raises PlanError when the template cannot build this blueprint."""
        sketch = lay_out(blueprint, template, max_agents)
        drafted = sketch.graph.drafted()
        choice = choose(blueprint, template, drafted, sketch.needs, installed=frozenset(self._paradigms))
        promised = reserve(blueprint, template, drafted, sketch.cap)
        tasks, said = promised.tasks, list(choice.said)
        changed = tasks != drafted
        for region in choice.regions:
            if region.paradigm != HIERARCHICAL:
                draft = Draft(
                    tasks=tasks,
                    needs=sketch.needs,
                    blueprint=blueprint,
                    template=template,
                    spare=sketch.cap - _agents(tasks) - promised.agents,
                    cores=CORES,
                )
                arranged = self._paradigms[region.paradigm].arrange(draft, region)
                tasks = _checked(draft, arranged, region, sketch.cap)
                said.extend(arranged.said)
                changed = True
        finished = Graph.of(tasks).finish() if changed else sketch.graph.finish()
        return complete(
            sketch,
            blueprint,
            finished,
            paradigm=choice.paradigm,
            regions=_told(choice),
            said=(*said, *promised.said),
            behaviours=promised.promised,
        )


class HierarchicalPlanner(StudioPlanner):
    """The planner without any further way of working."""

    name = HIERARCHICAL


def _told(choice: Choice) -> tuple[Region, ...]:
    """Nothing to tell of a plan that is the same everywhere, as all plans once were."""
    return () if choice.paradigm == HIERARCHICAL else choice.regions


def _agents(tasks: Iterable[PlannedTask]) -> int:
    return sum(counts(task.agent) for task in tasks)


def _checked(draft: Draft, made: Arrangement, region: Region, cap: int) -> tuple[PlannedTask, ...]:
    """What a paradigm made, in topological order. Raises PlanError for a lost task, a lost file or too many agents."""
    ordered = Graph.of(made.tasks).drafted()
    free = {work.name for work in draft.template.manifest.work if work.coordinates}
    kinds = {task.id: task.params.get("work", "") for task in draft.tasks}
    above: dict[str, frozenset[str]] = {}
    for task in ordered:
        above[task.id] = frozenset(task.after).union(*(above[earlier] for earlier in task.after))
    said = f"The paradigm {region.paradigm} of region {region.name} is at fault:"
    for task in draft.tasks:
        if task.id not in above:
            raise PlanError(f"{said} it lost the task {task.id}.")
        lost = [name for name in draft.needs.get(task.id, ()) if name not in above[task.id]]
        lost = [name for name in lost if kinds[name] not in free]
        if lost:
            raise PlanError(f"{said} {task.id} no longer comes after {lost[0]}, whose files it needs.")
    if _agents(ordered) > cap:
        raise PlanError(f"{said} {_agents(ordered)} agents are over the cap of {cap}.")
    return ordered
