"""Gates: checks that run what was built, in the sandbox. A gate that did not run has not passed."""

from __future__ import annotations

from collections.abc import Sequence

from factory_core.contracts.agent import Agent

__all__ = ["agents"]


def agents() -> Sequence[Agent]:
    """The agents that check."""
    from .auditor import Auditor
    from .validator import Validator

    return [Validator(), Auditor()]
