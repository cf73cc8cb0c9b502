"""A plan: the graph of tasks of one build. Data, never replayed code."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from factory_core.contracts.blueprint import Blueprint
from factory_core.contracts.template import TemplatePackage

__all__ = [
    "BARRIER",
    "COORDINATOR",
    "MERGER",
    "QUIET",
    "Arrangement",
    "Draft",
    "Paradigm",
    "Plan",
    "PlannedTask",
    "Planner",
    "Quote",
    "Region",
    "Team",
    "Track",
    "counts",
]

BARRIER = "barrier"
COORDINATOR = "coordinator"
MERGER = "merger"
"""The kernel itself, which merges a track."""
QUIET = frozenset({BARRIER, COORDINATOR})
"""Kinds that do nothing: a task of theirs ends by itself when those before it have ended."""


def counts(agent: str) -> bool:
    """Whether tasks of this kind count as agents: what the kernel does itself does not. The journal's SQL has the same in
    ``journal.counts``."""
    return agent not in QUIET and agent != MERGER


class PlannedTask(Struct, frozen=True, kw_only=True):
    """One node of the graph."""

    id: str
    """Unique in the plan and the same for the same spec, such as ``models/Card`` or ``barrier/phase_1_foundation``."""
    agent: str
    """Kind of agent; ``barrier`` costs nothing and does nothing, ``merger`` merges a track."""
    title: str
    team: str
    phase: str
    after: tuple[str, ...] = ()
    params: dict[str, str] = {}
    scope: str = "project"
    """What of the blueprint it reads: ``project`` or ``entity:Card``."""
    requirements: tuple[str, ...] = ()
    seconds: float = 0.0
    priority: int = 0
    """Larger first among ready tasks: the length of the longest path from here to the end, in milliseconds."""
    optional: bool = False
    """In a phase with ``blocking: false``: dropped, and reported, when the build's time is up."""
    always: bool = False
    """Runs when all tasks before it have ended, however they ended: the delivery of the report."""
    delay: float = 0.0
    """Not before this many seconds after the plan was made."""
    deadline_seconds: float = 0.0
    """How long one try may take; 0 = as long as any task may."""
    line: int = 0


class Team(Struct, frozen=True, kw_only=True):
    """A group of agents with a share of the cap. ``asked_*`` is what the spec's hints ask for, ``agents`` what it gets."""

    name: str
    agents: int
    asked_low: int = 0
    asked_high: int = 0
    percent: float = 0.0
    line: int = 0


class Quote(Struct, frozen=True, kw_only=True):
    """What the build will take. Money in nano-dollars (1e-9 USD); 0 without a model."""

    tasks: int
    agents: int
    total_seconds: float
    critical_seconds: float
    nano_usd: int = 0


class Region(Struct, frozen=True, kw_only=True):
    """A part of the graph and the way of working that lays it out."""

    name: str
    """``understand``, ``backend``, ``frontend``, ``integrate``, ``verify`` or ``deliver``; ``everything`` for the whole."""
    paradigm: str
    tasks: tuple[str, ...]
    reason: str = ""
    """What decided on the paradigm."""


class Track(Struct, frozen=True, kw_only=True):
    """A line of work with a branch of its own, merged into main when its gates have passed."""

    name: str
    title: str
    branch: str
    """``feat/<track>/<owner>/<id>``; the id follows from the blueprint."""
    owner: str
    """The team that does most of its steps."""
    merge: str
    """Id of the task that checks and merges it."""
    steps: tuple[str, ...]
    """Ids of its tasks in the plan's order. Each that makes files ends with a commit: a checkpoint."""
    requirements: tuple[str, ...] = ()
    """What its steps cover."""
    cases: tuple[str, ...] = ()
    """The acceptance cases that prove these requirements."""


class Plan(Struct, frozen=True, kw_only=True):
    """The whole graph, in topological order."""

    tasks: tuple[PlannedTask, ...]
    teams: tuple[Team, ...]
    phases: tuple[str, ...]
    critical_path: tuple[str, ...]
    quote: Quote
    scale: float
    """Agents granted over agents asked for; 1.0 when the hints stay under the cap or there are none."""
    paradigm: str
    assumptions: tuple[str, ...] = ()
    applied: tuple[str, ...] = ()
    """Paths of spec nodes that shaped the plan."""
    regions: tuple[Region, ...] = ()
    """Empty when the whole plan is hierarchical."""
    behaviours: dict[str, int] = {}
    """``on_failure`` … that the spec asks for: how many agents each may add while the build runs."""

    tracks: tuple[Track, ...] = ()
    """In the order they are merged."""


class Planner(Protocol):
    """A strategy: blueprint and template to a plan. Pure, so that the same spec always gives the same plan."""

    name: str

    def plan(self, blueprint: Blueprint, template: TemplatePackage, *, max_agents: int | None = None) -> Plan:
        """Raises PlanError when the template cannot build this blueprint."""
        ...


class Draft(Struct, frozen=True, kw_only=True):
    """A plan under construction: the tasks of every kind of work, under the spec's phases, teams and cap."""

    tasks: tuple[PlannedTask, ...]
    """In topological order. Their priorities lack the longest path, which is added when the plan is complete."""
    needs: dict[str, tuple[str, ...]]
    """``task -> what its work stands after``: files and data travel along these edges. The other edges of ``after`` are
    the order of the spec's phases."""
    blueprint: Blueprint
    template: TemplatePackage
    spare: int
    """How many more agents the cap allows."""
    cores: int
    """What the quote reckons with."""


class Arrangement(Struct, frozen=True, kw_only=True):
    """All tasks of a draft, laid out anew."""

    tasks: tuple[PlannedTask, ...]
    said: tuple[str, ...] = ()
    """What was done, for the plan's assumptions."""


class Paradigm(Protocol):
    """A way of working: lays out one region of a draft. Pure, as a planner is.

    It may change order, times and parameters of the region's tasks and add tasks of its own. No task may get lost, and none
    may come before a task whose files it needs; the kernel checks both, and the cap."""

    name: str

    def arrange(self, draft: Draft, region: Region) -> Arrangement:
        """The whole draft again, the region laid out this way."""
        ...
