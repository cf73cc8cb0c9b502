"""Teams: what the spec's hints and shares ask for, what the cap lets them have, and who does which work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain, count

from msgspec import Struct

from factory_core.contracts.blueprint import AgentHint, Blueprint
from factory_core.contracts.plan import Team
from factory_core.contracts.template import WorkSpec

from .pieces import Piece
from .slugs import segments, words

__all__ = ["Crew", "form_crew"]

_SHARES = "resource_allocation"

_DISCIPLINES: tuple[tuple[str, frozenset[str]], ...] = (
    ("frontend", words("frontend front client web user interface component view views page ui state")),
    ("backend", words("backend back server service api gateway database data model endpoint infrastructure")),
    ("testing", words("test tests testing quality qa validator validation coverage level")),
    ("devops", words("devops deployment deploy container containerization docker ci cd pipeline operations")),
    ("documentation", words("documentation documenter document docs doc guide guides")),
    ("security", words("security audit auditor auth authentication authorization")),
    ("integration", words("integration integrate integrator bridge connector")),
)


class Crew(Struct, frozen=True, kw_only=True):
    """The teams of a plan."""

    teams: tuple[Team, ...]
    places: dict[str, str]
    """``team -> path of the spec that asked for it``; teams of the manifest have none."""
    scale: float
    assumptions: tuple[str, ...] = ()
    applied: tuple[str, ...] = ()

    def team_for(self, piece: Piece) -> str:
        """The best fitting team; of equal ones the first. Without any that fits, the one the template names."""
        nodes = words(*{node.entity or node.name for node in piece.nodes})
        scores = [self._fit(team.name, piece.work.team, nodes) for team in self.teams]
        best = max(scores, default=0)
        return self.teams[scores.index(best)].name if best > 0 else piece.work.team

    def percent_for(self, work: WorkSpec) -> float | None:
        """The share of the agents that goes to this kind of work, when the spec gives one."""
        for team in self.teams:
            if team.percent and _disciplines(team.name) & _disciplines(work.team):
                return team.percent
        return None

    def with_manifest(self, works: Iterable[WorkSpec], filled: dict[str, int]) -> tuple[Team, ...]:
        """All teams, those of the manifest that do work of their own among them."""
        own = dict.fromkeys(work.team for work in works)
        known = {team.name for team in self.teams}
        extra = (
            Team(name=name, agents=filled[name]) for name in own if name not in known and filled.get(name)
        )
        return (*self.teams, *extra)

    def _fit(self, team: str, wanted: str, nodes: frozenset[str]) -> int:
        """A team that carries a node's name beats one of the right kind, if it is of that kind as a whole."""
        kind, whole = _disciplines(team), _disciplines(team, *segments(self.places.get(team, "")))
        score = 6 if team == wanted else 4 if kind & _disciplines(wanted) else 0
        return score + (7 if nodes & _own_words(team) and whole & _disciplines(wanted) else 0)


@lru_cache(maxsize=4096)
def _own_words(team: str) -> frozenset[str]:
    return words(team)


@lru_cache(maxsize=4096)
def _disciplines(*names: str) -> frozenset[str]:
    said = words(*names)
    return frozenset(name for name, signs in _DISCIPLINES if said & signs)


def form_crew(blueprint: Blueprint, works: Sequence[WorkSpec], cap: int) -> Crew:
    """Scale what the hints ask for to the cap, and say so."""
    hints = blueprint.hints
    counted = [hint for hint in hints.agents if hint.high and _SHARES not in segments(hint.path)]
    layers = [hint for hint in hints.agents if hint.percent and _SHARES not in segments(hint.path)]
    shares = tuple(
        Team(name=share.name, agents=0, percent=float(share.percent), line=share.line)
        for share in hints.shares
    )
    taken = {team.name for team in shares} | {work.team for work in works}
    names = _short_names([*counted, *layers], taken)
    low = sum(hint.low or hint.high or 0 for hint in counted)
    high = sum(hint.high or 0 for hint in counted)
    middle = (low + high) / 2
    scale = min(1.0, cap / middle) if middle else 1.0
    granted = _round_fairly(
        [((hint.low or hint.high or 0) + (hint.high or 0)) / 2 * scale for hint in counted]
    )
    asked = tuple(
        Team(
            name=names[hint.path],
            agents=agents,
            asked_low=hint.low or hint.high or 0,
            asked_high=hint.high or 0,
            line=hint.line,
        )
        for hint, agents in zip(counted, granted, strict=True)
    )
    parts = tuple(
        Team(name=names[hint.path], agents=0, percent=float(hint.percent or 0), line=hint.line)
        for hint in layers
    )
    return Crew(
        teams=(*_divided(shares, cap), *_divided(parts, cap), *asked),
        places={names[hint.path]: hint.path for hint in [*counted, *layers]},
        scale=round(scale, 4),
        assumptions=_said(low, high, cap, shares=bool(shares)),
        applied=tuple(hint.path for hint in [*counted, *layers]),
    )


def _said(low: int, high: int, cap: int, *, shares: bool) -> tuple[str, ...]:
    said: list[str] = []
    middle = (low + high) / 2
    if middle > cap:
        said.append(
            f"The hints ask for {low} to {high} agents, max_agents is {cap}: every team gets {cap / middle:.2f} of what "
            f"it asks for (between {cap / high:.2f} of the most and {cap / low:.2f} of the least)."
        )
    if middle and shares:
        said.append(
            f"Shares and hints each divide the same {cap} agents, by discipline and by part of the system."
        )
    return tuple(said)


def _divided(teams: tuple[Team, ...], cap: int) -> tuple[Team, ...]:
    """Teams with a percentage get it of the cap; more than 100 % in sum is scaled down to it."""
    total = max(100.0, sum(team.percent for team in teams))
    agents = _round_fairly([cap * team.percent / total for team in teams])
    return tuple(
        Team(name=team.name, agents=granted, percent=team.percent, line=team.line)
        for team, granted in zip(teams, agents, strict=True)
    )


def _round_fairly(shares: Sequence[float]) -> list[int]:
    """Whole numbers whose sum is the shares' sum, rounded; the largest remainders are rounded up."""
    whole = [int(share) for share in shares]
    missing = round(sum(shares)) - sum(whole)
    by_remainder = sorted(range(len(shares)), key=lambda index: (whole[index] - shares[index], index))
    for index in by_remainder[:missing]:
        whole[index] += 1
    return whole


def _short_names(hints: Sequence[AgentHint], taken: set[str]) -> dict[str, str]:
    """The last segments of each path, as few as make it unique."""
    names: dict[str, str] = {}
    used = set(taken)
    for hint in hints:
        keys = segments(hint.path) or (hint.path or "team",)
        options = ("/".join(keys[-length:]) for length in range(1, len(keys) + 1))
        numbered = (f"{'/'.join(keys)}-{number}" for number in count(2))
        name = next(option for option in chain(options, numbered) if option not in used)
        used.add(name)
        names[hint.path] = name
    return names
