"""What a plan will take, before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

from factory_core.contracts.blueprint import Blueprint
from factory_core.contracts.plan import PlannedTask, Quote, counts

from .graph import finish_times

__all__ = ["CORES", "compare_windows", "estimate_seconds", "make_quote"]

CORES = 2
"""What the quote reckons with when nobody says otherwise."""


def make_quote(tasks: tuple[PlannedTask, ...]) -> Quote:
    """The plan in figures."""
    return Quote(
        tasks=len(tasks),
        agents=sum(counts(task.agent) for task in tasks),
        total_seconds=round(fsum(task.seconds for task in tasks), 3),
        critical_seconds=round(max(finish_times(tasks).values(), default=0.0), 3),
    )


def estimate_seconds(quote: Quote, *, cores: int = CORES) -> float:
    """How long the build takes: no less than its longest chain, no less than all work on all cores."""
    return round(max(quote.critical_seconds, quote.total_seconds / max(1, cores)), 3)


def compare_windows(blueprint: Blueprint, tasks: tuple[PlannedTask, ...], quote: Quote) -> Sequence[str]:
    """Where the plan is later than the spec wants it."""
    said: list[str] = []
    ends = finish_times(tasks)
    for phase in blueprint.phases:
        planned = max((ends[task.id] for task in tasks if task.phase == phase.name), default=0.0)
        if phase.window_minutes is not None and planned > phase.window_minutes[1] * 60:
            said.append(
                f"{phase.name} is planned to end after {planned / 60:.0f} minutes, "
                f"its window ends at {phase.window_minutes[1]}."
            )
    limit = blueprint.constraints.max_build_seconds
    if limit is not None and estimate_seconds(quote) > limit:
        said.append(
            f"The quote of {estimate_seconds(quote):.0f} s is over max_build_time ({limit} s): "
            "work of phases that do not block may be dropped."
        )
    return said
