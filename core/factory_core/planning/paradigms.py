"""Which way of working suits which region of the graph, decided by counting: the same spec always chooses the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from factory_core.contracts.blueprint import Blueprint
from factory_core.contracts.plan import QUIET, PlannedTask, Region
from factory_core.contracts.template import TemplatePackage, WorkSpec

from .slugs import words

__all__ = ["HIERARCHICAL", "HYBRID", "Choice", "choose", "read_sequence"]

HIERARCHICAL, HYBRID, AUTO = "hierarchical", "hybrid", "auto"
SWARM, MESH, TEMPORAL = "swarm", "neural_mesh", "temporal"
REGIONS = ("understand", "backend", "frontend", "integrate", "verify", "deliver")
BY_STAGE = {
    "analyse": "understand",
    "design": "understand",
    "integrate": "integrate",
    "verify": "verify",
    "deliver": "deliver",
}
SPOKEN: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("neural", (MESH,)),
    ("mesh", (MESH,)),
    ("swarm", (SWARM,)),
    ("temporal", (TEMPORAL,)),
    ("hybrid", (HYBRID,)),
    ("hierarchical", (HIERARCHICAL,)),
)
PLACES: tuple[tuple[frozenset[str], tuple[str, ...]], ...] = (
    (words("integration integrate integrating"), ("integrate",)),
    (words("deployment deploy deploying release delivery deliver rollout"), ("deliver",)),
    (
        words("optimization optimisation optimize test testing quality verification verify security"),
        ("verify",),
    ),
    (words("exploration explore research choice design architecture analysis understand"), ("understand",)),
    (words("frontend ui page view interface"), ("frontend",)),
    (words("backend service api server"), ("backend",)),
    (
        words("implementation implement implementing build building development feature"),
        ("backend", "frontend"),
    ),
)
LIVE = words("websocket realtime stream streaming sse live")
MANY_PARTS, FEW_LINKS, DENSE = 4, 1.0, 1.5
"""From this many entities on, and below that many references each, parts count as independent; from DENSE on as coupled."""


class Choice(Struct, frozen=True, kw_only=True):
    """The paradigm of a plan, those of its regions, and why."""

    paradigm: str
    regions: tuple[Region, ...] = ()
    said: tuple[str, ...] = ()


class _Facts(Struct, frozen=True, kw_only=True):
    """What the triggers look at."""

    parts: int
    links: float
    """References for each entity."""
    live: bool
    windows: bool
    limited: bool

    @classmethod
    def of(cls, blueprint: Blueprint) -> _Facts:
        parts = len(blueprint.entities)
        links = sum(
            field.target not in (None, entity.name)
            for entity in blueprint.entities
            for field in entity.fields
        )
        spoken = (text for endpoint in blueprint.endpoints for text in (endpoint.name, endpoint.path))
        return cls(
            parts=parts,
            links=round(links / parts, 2) if parts else 0.0,
            live=bool(LIVE & words(*spoken)),
            windows=any(phase.window_minutes is not None for phase in blueprint.phases),
            limited=blueprint.constraints.max_build_seconds is not None,
        )

    def triggers(self) -> dict[str, str]:
        """The paradigms that the whole spec calls for, with the reason."""
        found: dict[str, str] = {}
        if self.parts >= MANY_PARTS and self.links < FEW_LINKS:
            found[SWARM] = f"{self.parts} entities with {self.links:g} references each are independent parts"
        if self.live or (self.parts > 1 and self.links >= DENSE):
            found[MESH] = self._coupled()
        if self.windows:
            found[TEMPORAL] = "its phases have time windows"
        return found

    def of_region(self, region: str) -> tuple[str, str]:
        """The paradigm of one region of a hybrid plan, with the reason."""
        match region:
            case "understand" if self.windows:
                return TEMPORAL, "the phases have time windows"
            case "backend" if self.parts >= MANY_PARTS - 1 and self.links < DENSE:
                return SWARM, f"{self.parts} entities with {self.links:g} references each"
            case "integrate" if self.live or (self.parts > 1 and self.links > 0):
                return MESH, self._coupled()
            case "deliver" if self.windows or self.limited:
                return TEMPORAL, "there is a time limit"
            case _:
                return HIERARCHICAL, "nothing calls for another"

    def _coupled(self) -> str:
        if self.live:
            return "an endpoint is live"
        return f"{self.parts} entities are coupled by {self.links:g} references each"


def choose(
    blueprint: Blueprint,
    template: TemplatePackage,
    tasks: Sequence[PlannedTask],
    needs: Mapping[str, object],
    *,
    installed: frozenset[str],
) -> Choice:
    """The spec's own wish first, then its sequence of ways of working, then the triggers."""
    wanted = blueprint.hints.paradigm
    wanted = MESH if wanted == "neural" else wanted
    facts = _Facts.of(blueprint)
    sequence = read_sequence(blueprint.hints.orchestration)
    if sequence and wanted in (HIERARCHICAL, HYBRID, AUTO):
        return _hybrid(
            facts, sequence, _placed(template, tasks, needs), installed, "The spec orders a sequence"
        )
    if wanted == AUTO:
        called = {name: why for name, why in facts.triggers().items() if name in installed}
        if len(called) > 1:
            said = f"The spec lets the studio choose, and {'; '.join(called.values())}"
            return _hybrid(facts, {}, _placed(template, tasks, needs), installed, said)
        if not called:
            return Choice(paradigm=HIERARCHICAL, said=("Nothing in the spec calls for another paradigm.",))
        ((wanted, why),) = called.items()
    elif wanted == HYBRID:
        return _hybrid(
            facts, {}, _placed(template, tasks, needs), installed, "The spec asks for the paradigm hybrid"
        )
    else:
        why = "the spec asks for it"
    if wanted == HIERARCHICAL:
        return Choice(paradigm=HIERARCHICAL)
    if wanted not in installed:
        return Choice(paradigm=HIERARCHICAL, said=(_absent(wanted),))
    everything = tuple(task.id for task in tasks if task.id in needs and task.agent not in QUIET)
    region = Region(name="everything", paradigm=wanted, tasks=everything, reason=why)
    return Choice(paradigm=wanted, regions=(region,), said=(f"The build works as {wanted}: {why}.",))


def read_sequence(lines: Iterable[str]) -> dict[str, str]:
    """``region -> paradigm`` of lines such as ``Use neural mesh for complex integration points``."""
    found: dict[str, str] = {}
    for line in lines:
        said = words(line)
        spoken = next((names[0] for sign, names in SPOKEN if sign in said), None)
        places = next((regions for signs, regions in PLACES if signs & said), ())
        if spoken is not None:
            found.update(dict.fromkeys(places, spoken))
    return found


def _hybrid(
    facts: _Facts,
    sequence: Mapping[str, str],
    placed: Mapping[str, tuple[str, ...]],
    installed: frozenset[str],
    opening: str,
) -> Choice:
    regions: list[Region] = []
    absent: list[str] = []
    for name in REGIONS:
        paradigm, why = facts.of_region(name)
        ordered = sequence.get(name, HYBRID)
        if ordered != HYBRID:
            paradigm, why = ordered, "the spec's sequence names it"
        if paradigm != HIERARCHICAL and paradigm not in installed:
            absent.append(_absent(paradigm))
            paradigm, why = HIERARCHICAL, "what was chosen is not installed"
        if placed.get(name):
            regions.append(Region(name=name, paradigm=paradigm, tasks=placed[name], reason=why))
    told = "; ".join(f"{region.name} is {region.paradigm} ({region.reason})" for region in regions)
    said = (f"{opening}: {told}.", *dict.fromkeys(absent))
    mixed = any(region.paradigm != HIERARCHICAL for region in regions)
    return Choice(paradigm=HYBRID if mixed else HIERARCHICAL, regions=tuple(regions), said=said)


def _placed(
    template: TemplatePackage, tasks: Sequence[PlannedTask], needs: Mapping[str, object]
) -> dict[str, tuple[str, ...]]:
    """The tasks of each region, in the plan's order."""
    works = {work.name: work for work in template.manifest.work}
    placed: dict[str, list[str]] = {}
    for task in tasks:
        work = works.get(task.params.get("work", ""))
        if work is not None and task.id in needs:
            placed.setdefault(_region(work), []).append(task.id)
    return {name: tuple(ids) for name, ids in placed.items()}


def _region(work: WorkSpec) -> str:
    if work.stage in BY_STAGE:
        return BY_STAGE[work.stage]
    return "frontend" if work.each == "view" or "frontend" in words(work.team) else "backend"


def _absent(paradigm: str) -> str:
    return f"No installed plugin brings the paradigm {paradigm}; what it was chosen for is planned as hierarchical."
