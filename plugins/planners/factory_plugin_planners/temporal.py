"""Temporal: every task knows when it may start, how long a try may take, and how much later it could be."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from factory_core.contracts.plan import Arrangement, Draft, PlannedTask, Region

__all__ = ["Temporal"]

LEAST_SECONDS = 300.0
MARGIN = 60.0
"""A try may take this many times what its task is expected to take, its slack besides, and never less than LEAST_SECONDS."""


class Temporal:
    """Schedules the draft on the quote's cores. The windows of phases are kept in proportion: minute 30 of 240 is an eighth
    of the schedule, so that a fast build does not wait for the clock of a slow one."""

    name = "temporal"

    def arrange(self, draft: Draft, region: Region) -> Arrangement:
        """The region's tasks with their times; among ready ones the least slack comes first."""
        members = frozenset(region.tasks)
        starts = _schedule(draft.tasks, draft.cores)
        by_name = {task.id: task for task in draft.tasks}
        length = max((starts[name] + task.seconds for name, task in by_name.items()), default=0.0)
        slack = _slack(draft.tasks, starts, length)
        opens = _windows(draft, length)
        tasks = tuple(
            _timed(task, starts[task.id], slack[task.id], opens.get(task.phase, 0.0))
            if task.id in members
            else task
            for task in draft.tasks
        )
        held = sum(task.delay > 0 for task in tasks)
        tight = sum(slack[name] == 0 for name in members)
        said = (
            f"Temporal: on {draft.cores} cores the schedule takes {length:.1f} s; {tight} of {len(members)} tasks have no "
            f"slack, {held} wait for the window of their phase."
        )
        return Arrangement(tasks=tasks, said=(said,))


def _schedule(tasks: Sequence[PlannedTask], cores: int) -> dict[str, float]:
    """When each task starts if whoever has the longest way to go takes the next free core. Priorities are not yet known
    here, so the way is measured anew."""
    way = _way(tasks)
    ends: dict[str, float] = {}
    starts: dict[str, float] = {}
    free = [0.0] * max(1, cores)
    missing = {task.id: len(task.after) for task in tasks}
    heirs: dict[str, list[str]] = {}
    for task in tasks:
        for earlier in task.after:
            heirs.setdefault(earlier, []).append(task.id)
    by_name = {task.id: task for task in tasks}
    place = {task.id: number for number, task in enumerate(tasks)}
    ready = [(-way[task.id], place[task.id], task.id) for task in tasks if not task.after]
    heapq.heapify(ready)
    while ready:
        _, _, name = heapq.heappop(ready)
        task = by_name[name]
        earliest = max((ends[earlier] for earlier in task.after), default=0.0)
        starts[name] = earliest
        if task.seconds > 0:
            starts[name] = max(heapq.heappop(free), earliest)
            heapq.heappush(free, starts[name] + task.seconds)
        ends[name] = starts[name] + task.seconds
        for heir in heirs.get(name, ()):
            missing[heir] -= 1
            if missing[heir] == 0:
                heapq.heappush(ready, (-way[heir], place[heir], heir))
    return starts


def _way(tasks: Sequence[PlannedTask]) -> dict[str, float]:
    """The longest path from each task to the end, itself included, in seconds."""
    left: dict[str, float] = {}
    for task in reversed(tasks):
        left[task.id] = left.get(task.id, 0.0) + task.seconds
        for earlier in task.after:
            left[earlier] = max(left.get(earlier, 0.0), left[task.id])
    return left


def _slack(tasks: Sequence[PlannedTask], starts: Mapping[str, float], length: float) -> dict[str, float]:
    """How much later each could start without the end moving."""
    latest: dict[str, float] = {}
    for task in reversed(tasks):
        end = latest.get(task.id, length)
        for earlier in task.after:
            latest[earlier] = min(latest.get(earlier, length), end - task.seconds)
    return {
        task.id: round(max(0.0, latest.get(task.id, length) - task.seconds - starts[task.id]), 3)
        for task in tasks
    }


def _windows(draft: Draft, length: float) -> dict[str, float]:
    """When each phase opens, in seconds of this schedule."""
    windows = {
        phase.name: phase.window_minutes
        for phase in draft.blueprint.phases
        if phase.window_minutes is not None
    }
    horizon = max((window[1] for window in windows.values()), default=0)
    if not horizon:
        return {}
    return {name: round(length * window[0] / horizon, 3) for name, window in windows.items()}


def _timed(task: PlannedTask, start: float, slack: float, opens: float) -> PlannedTask:
    limit = max(LEAST_SECONDS, task.seconds * MARGIN + slack)
    return replace(
        task,
        delay=opens if opens > start else 0.0,
        deadline_seconds=round(limit, 3),
        priority=task.priority - round(slack * 1000),
    )
