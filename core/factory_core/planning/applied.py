"""Which lines of the spec shaped the plan. Only what the plan shows is claimed."""

from __future__ import annotations

from collections.abc import Iterable

from factory_core.contracts.blueprint import Blueprint, Hints
from factory_core.contracts.plan import Plan

from .paradigms import HYBRID, read_sequence
from .slugs import segments
from .teams import Crew

__all__ = ["bump_for", "paths_applied"]

_BUMP = 1_000
"""Milliseconds of priority a preferred agent gains, and one that is to be spawned eagerly at most."""


def bump_for(agent: str, hints: Hints) -> int:
    """How much earlier an agent's tasks start than their place in the graph asks for."""
    preferred = _BUMP if agent in hints.preferred_agents else 0
    threshold = hints.spawn_thresholds.get(agent)
    eager = 0 if threshold is None else round((1.0 - min(1.0, max(0.0, threshold))) * _BUMP)
    return preferred + eager


def paths_applied(blueprint: Blueprint, plan: Plan, crew: Crew, *, capped: bool) -> tuple[str, ...]:
    """Paths of the nodes behind teams, phases, priorities and the cap, in the spec's order."""
    hints = blueprint.hints
    agents = {task.agent for task in plan.tasks}
    named: set[tuple[str, str]] = {("resource_allocation", team.name) for team in hints.shares}
    named.update(("preferred_agents", agent) for agent in hints.preferred_agents if agent in agents)
    named.update(
        ("spawn_threshold_overrides", agent)
        for agent, threshold in hints.spawn_thresholds.items()
        if threshold < 1.0 and agent in agents
    )
    if hints.paradigm in (plan.paradigm, "auto") or (hints.paradigm, plan.paradigm) == (
        "neural",
        "neural_mesh",
    ):
        named.add(("meta", "paradigm"))
    named.update(("behaviors", name) for name, agents in plan.behaviours.items() if agents)
    named.update(("_behaviors", name) for name, agents in plan.behaviours.items() if agents)
    if capped or plan.scale < 1.0:
        named.add(("constraints", "max_agents"))
    chosen = set(crew.applied)
    chosen.update(_listed(blueprint, "preferred_agents", hints.preferred_agents, agents))
    if plan.paradigm == HYBRID:
        followed = {line for line in hints.orchestration if read_sequence([line])}
        chosen.update(_listed(blueprint, "orchestration_style", hints.orchestration, followed))
    phases = {f"phase:{phase.name}" for phase in blueprint.phases}
    return tuple(
        node.path
        for node in blueprint.nodes
        if node.path in chosen or _names(node.path, named) or node.part in phases
    )


def _names(path: str, named: set[tuple[str, str]]) -> bool:
    return segments(path)[-2:] in named


def _listed(blueprint: Blueprint, section: str, names: Iterable[str], agents: set[str]) -> set[str]:
    """The paths of a section written as a list of texts, when its items match the names one to one."""
    items = [
        node.path
        for node in blueprint.nodes
        if segments(node.path)[-1:] == (section,) and node.path.endswith("]")
    ]
    names = list(names)
    if len(items) != len(names):
        return set()
    return {path for path, name in zip(items, names, strict=True) if name in agents}
