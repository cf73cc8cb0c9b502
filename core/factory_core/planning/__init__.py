"""Blueprint to plan: planners, shares, quote."""

from __future__ import annotations

from .errors import PlanError, TemplateBroken
from .hierarchical import HierarchicalPlanner
from .quote import estimate_seconds
from .reads import reads_for
from .scope import narrow
from .templates import load_template

__all__ = [
    "HierarchicalPlanner",
    "PlanError",
    "TemplateBroken",
    "estimate_seconds",
    "load_template",
    "narrow",
    "reads_for",
]
