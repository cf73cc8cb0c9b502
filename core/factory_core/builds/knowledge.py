"""What a worker knows of a build: blueprint, plan and template, read once and shared by its tasks."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable

import msgspec
from msgspec import Struct

from factory_core.builds.record import TaskRecord
from factory_core.contracts.blueprint import Blueprint
from factory_core.contracts.files import FileRef
from factory_core.contracts.plan import Plan, PlannedTask
from factory_core.contracts.template import TemplatePackage

__all__ = ["BuildKnowledge", "KnowledgeShelf", "ancestors"]


class BuildKnowledge(Struct, frozen=True, kw_only=True):
    """All of a build that does not change once it is planned."""

    blueprint: Blueprint
    plan: Plan
    template: TemplatePackage
    spec: bytes
    spec_name: str
    release: tuple[FileRef, ...] = ()
    """Of the release that the build stands on, what its template's works read."""
    before: dict[str, tuple[str, ...]]
    """``task -> every task that must have ended before it``, in the plan's order."""

    done: dict[str, tuple[int, TaskRecord]] = msgspec.field(default_factory=dict[str, tuple[int, TaskRecord]])
    """Of tasks that are done, the fence and the record read last: a task reads only what is new to its worker, so that a
    wide plan is read once and not once for each of its tasks."""

    def task(self, name: str) -> PlannedTask | None:
        """The planned task; None for one that was spawned later."""
        return next((task for task in self.plan.tasks if task.id == name), None)

    def params(self, name: str) -> dict[str, str]:
        """The parameters of a planned task; none of one that was spawned later."""
        task = self.task(name)
        return task.params if task is not None else {}


def ancestors(tasks: Iterable[PlannedTask]) -> dict[str, tuple[str, ...]]:
    """The transitive closure of ``after``, each in the order of ``tasks``, which must be topological."""
    order: dict[str, int] = {}
    closure: dict[str, frozenset[str]] = {}
    for position, task in enumerate(tasks):
        order[task.id] = position
        closure[task.id] = frozenset(task.after).union(*(closure[parent] for parent in task.after))
    return {task: tuple(sorted(above, key=order.__getitem__)) for task, above in closure.items()}


class KnowledgeShelf:
    """The builds a worker met last; least recently used ones are dropped. Each is read once, however many of its tasks
    start together."""

    def __init__(self, size: int = 32) -> None:
        self._size = size
        self._shelf: OrderedDict[str, BuildKnowledge] = OrderedDict()
        self._reading: dict[str, asyncio.Lock] = {}

    async def get(self, build: str, load: Callable[[], Awaitable[BuildKnowledge]]) -> BuildKnowledge:
        """What is known of a build; ``load`` is asked when nothing is. What it raises is not kept."""
        async with self._reading.setdefault(build, asyncio.Lock()):
            known = self._shelf.get(build)
            if known is None:
                known = await load()
                self._put(build, known)
            self._shelf.move_to_end(build)
            return known

    def _put(self, build: str, knowledge: BuildKnowledge) -> None:
        self._shelf[build] = knowledge
        while len(self._shelf) > self._size:
            dropped, _ = self._shelf.popitem(last=False)
            self._reading.pop(dropped, None)
