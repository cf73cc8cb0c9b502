"""Blueprint to plan: planners, shares, quote."""

from __future__ import annotations

from .errors import PlanError, TemplateBroken
from .planner import HierarchicalPlanner, StudioPlanner
from .quote import estimate_seconds
from .reads import reads_for, unnumbered
from .scope import narrow
from .switches import TRIES, army_of, integrating_task, switched_on, verifying_tasks
from .templates import load_template
from .tracks import lay_tracks, plan_build

__all__ = [
    "TRIES",
    "HierarchicalPlanner",
    "PlanError",
    "StudioPlanner",
    "TemplateBroken",
    "army_of",
    "estimate_seconds",
    "integrating_task",
    "lay_tracks",
    "load_template",
    "narrow",
    "plan_build",
    "reads_for",
    "switched_on",
    "unnumbered",
    "verifying_tasks",
]
