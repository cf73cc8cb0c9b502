"""Offers the paradigms beside the kernel's hierarchical one, and the agents they need."""

from __future__ import annotations

from collections.abc import Sequence

from factory_core.contracts.agent import Agent
from factory_core.contracts.plan import Paradigm
from factory_core.hooks import hookimpl


@hookimpl
def factory_planners() -> Sequence[Paradigm]:
    """Chosen by name in ``meta.paradigm``, or by the triggers of a hybrid plan."""
    from .mesh import NeuralMesh
    from .swarm import Swarm
    from .temporal import Temporal

    return [Swarm(), NeuralMesh(), Temporal()]


@hookimpl
def factory_agents() -> Sequence[Agent]:
    """Those that talk with each other in a neural mesh."""
    from .peers import Moderator, Peer

    return [Peer(), Moderator()]
