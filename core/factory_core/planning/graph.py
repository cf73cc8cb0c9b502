"""The graph under construction. It never holds a cycle."""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

from msgspec.structs import replace

from factory_core.contracts.plan import BARRIER, PlannedTask

from .errors import PlanError
from .slugs import Names

__all__ = ["MOST_EDGES", "Edge", "Graph", "critical_path", "finish_times"]

MOST_EDGES = 50
"""More edges than this between two groups are led through one barrier."""

Edge = tuple[str, str]
"""``(later, earlier)``."""


class Graph:
    """Tasks and the order between them, kept in the order they were added."""

    def __init__(self) -> None:
        self._tasks: dict[str, PlannedTask] = {}
        self._after: dict[str, dict[str, None]] = {}
        self._names = Names()

    @classmethod
    def of(cls, tasks: Iterable[PlannedTask]) -> Graph:
        """The graph of finished tasks. Raises PlanError for two of one name, an edge to nowhere or a circle."""
        graph = cls()
        edges: list[Edge] = []
        for task in tasks:
            if graph.add(replace(task, after=())) != task.id:
                raise PlanError(f"Two tasks of the plan are called {task.id}.")
            edges.extend((task.id, earlier) for earlier in task.after)
        for later, earlier in edges:
            if earlier not in graph._after:
                raise PlanError(f"{later} stands after {earlier}, which is no task of the plan.")
        cycle = graph.join(edges)
        if cycle:
            raise PlanError(f"Tasks of the plan wait for each other: {' <- '.join(cycle)}.")
        return graph

    def add(self, task: PlannedTask) -> str:
        """Add a task without edges and return its id, which is numbered when the wanted one is taken."""
        name = self._names.take(task.id)
        self._tasks[name] = replace(task, id=name)
        self._after[name] = {}
        return name

    def barrier(self, name: str, phase: str, *, line: int = 0) -> str:
        """Add a task that does nothing."""
        return self.add(
            PlannedTask(id=f"{BARRIER}/{name}", agent=BARRIER, title=name, team="", phase=phase, line=line)
        )

    def change(self, names: Iterable[str], *, phase: str, optional: bool) -> None:
        """Move tasks to a phase."""
        for name in names:
            self._tasks[name] = replace(self._tasks[name], phase=phase, optional=optional)

    def tasks(self) -> tuple[PlannedTask, ...]:
        """As they stand, edges left out."""
        return tuple(self._tasks.values())

    def join(self, edges: Iterable[Edge]) -> tuple[str, ...]:
        """Add all of these edges, or none when they would close a cycle, which is then returned."""
        new = [(later, earlier) for later, earlier in edges if earlier not in self._after[later]]
        for later, earlier in new:
            self._after[later][earlier] = None
        try:
            TopologicalSorter(self._after).prepare()
        except CycleError as error:
            for later, earlier in new:
                self._after[later].pop(earlier, None)
            return tuple(error.args[1])
        return ()

    def edges(self) -> dict[str, tuple[str, ...]]:
        """``task -> what it stands after``, in the order they were added."""
        position = {name: index for index, name in enumerate(self._tasks)}
        return {name: tuple(sorted(after, key=position.__getitem__)) for name, after in self._after.items()}

    def drafted(self) -> tuple[PlannedTask, ...]:
        """All tasks in topological order, each as early as it can be, with edges, their priorities as they were added."""
        edges = self.edges()
        return tuple(replace(self._tasks[name], after=edges[name]) for name in self._order())

    def finish(self) -> tuple[PlannedTask, ...]:
        """As ``drafted``, the longest path to the end added to each priority."""
        order = self._order()
        position = {name: index for index, name in enumerate(self._tasks)}
        left: dict[str, float] = {}
        for name in reversed(order):
            left[name] = left.get(name, 0.0) + self._tasks[name].seconds
            for earlier in self._after[name]:
                left[earlier] = max(left.get(earlier, 0.0), left[name])
        return tuple(
            replace(
                self._tasks[name],
                after=tuple(sorted(self._after[name], key=position.__getitem__)),
                priority=self._tasks[name].priority + round(left[name] * 1000),
            )
            for name in order
        )

    def _order(self) -> list[str]:
        sorter = TopologicalSorter(self._after)
        sorter.prepare()
        position = {name: index for index, name in enumerate(self._tasks)}
        order: list[str] = []
        while sorter.is_active():
            ready = sorted(sorter.get_ready(), key=position.__getitem__)
            order.extend(ready)
            sorter.done(*ready)
        return order


def finish_times(tasks: tuple[PlannedTask, ...]) -> dict[str, float]:
    """When each task ends at the earliest, with as many cores as one likes."""
    ends: dict[str, float] = {}
    for task in tasks:
        ready = max((ends[earlier] for earlier in task.after), default=0.0)
        ends[task.id] = task.seconds + max(ready, task.delay)
    return ends


def critical_path(tasks: tuple[PlannedTask, ...]) -> tuple[str, ...]:
    """The longest chain by seconds, first task first; of equal ones the one found first."""
    ends = finish_times(tasks)
    by_name = {task.id: task for task in tasks}
    chain: list[str] = []
    at = max(ends, key=ends.__getitem__, default=None)
    while at is not None:
        chain.append(at)
        at = max(by_name[at].after, key=ends.__getitem__, default=None)
    return tuple(reversed(chain))
