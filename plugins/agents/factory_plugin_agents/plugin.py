"""Offers the agents that work without a model."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec

from factory_core.contracts.agent import Agent
from factory_core.hooks import hookimpl


@hookimpl
def factory_agents() -> Sequence[Agent]:
    """Those that write, and those that check."""
    from .agents import Analyzer, Architect, Builder, Documenter, Integrator, Migrator, Tester
    from .debugger import Debugger
    from .decomposer import Decomposer
    from .optimizer import Optimizer

    makers = [Analyzer(), Architect(), Builder(), Migrator(), Tester(), Documenter(), Integrator()]
    return [*makers, Decomposer(), Debugger(), Optimizer(), *_gate_agents()]


def _gate_agents() -> Sequence[Agent]:
    if find_spec(f"{__package__}.gates") is None:
        return []
    gates = import_module(f"{__package__}.gates")
    return gates.agents()
