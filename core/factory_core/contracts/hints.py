"""What a specification says about how to build it; planning uses it and nothing else does."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["AgentHint", "Hints", "TeamHint"]


class AgentHint(Struct, frozen=True, kw_only=True):
    """A comment such as ``# 15-20 agents`` or ``# Triggers 40% of agents``, with the node it stands at. ``path`` is
    that of its ``Node``; ``#2`` is added where a leaf or another hint has the path already."""

    path: str
    text: str
    low: int | None = None
    high: int | None = None
    percent: int | None = None
    line: int = 0


class TeamHint(Struct, frozen=True, kw_only=True):
    """A share of the agents, from ``agent_hints.resource_allocation``. ``percent`` is 0..100."""

    name: str
    percent: int
    line: int = 0


class Hints(Struct, frozen=True, kw_only=True):
    """What the planner uses and nothing else does."""

    agents: tuple[AgentHint, ...] = ()
    shares: tuple[TeamHint, ...] = ()
    preferred_agents: dict[str, str] = {}
    spawn_thresholds: dict[str, float] = {}
    paradigm: str = "hierarchical"
    style: str = ""
    """``meta.orchestration_style``, such as ``aggressive``."""
    orchestration: tuple[str, ...] = ()
    """The ways of working in sequence, as ``special_instructions.orchestration_style`` spells them."""
