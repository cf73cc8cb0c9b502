"""What a worker knows of a build: blueprint, plan and template, read once and shared by its tasks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from msgspec import Struct

from factory_core.contracts.blueprint import Blueprint
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
    before: dict[str, tuple[str, ...]]
    """``task -> every task that must have ended before it``, in the plan's order."""

    def task(self, name: str) -> PlannedTask | None:
        """The planned task; None for one that was spawned later."""
        return next((task for task in self.plan.tasks if task.id == name), None)


def ancestors(tasks: Iterable[PlannedTask]) -> dict[str, tuple[str, ...]]:
    """The transitive closure of ``after``, each in the order of ``tasks``, which must be topological."""
    order: dict[str, int] = {}
    closure: dict[str, frozenset[str]] = {}
    for position, task in enumerate(tasks):
        order[task.id] = position
        closure[task.id] = frozenset(task.after).union(*(closure[parent] for parent in task.after))
    return {task: tuple(sorted(above, key=order.__getitem__)) for task, above in closure.items()}


class KnowledgeShelf:
    """The builds a worker met last; least recently used ones are dropped."""

    def __init__(self, size: int = 32) -> None:
        self._size = size
        self._shelf: OrderedDict[str, BuildKnowledge] = OrderedDict()

    def get(self, build: str) -> BuildKnowledge | None:
        known = self._shelf.get(build)
        if known is not None:
            self._shelf.move_to_end(build)
        return known

    def put(self, build: str, knowledge: BuildKnowledge) -> None:
        self._shelf[build] = knowledge
        self._shelf.move_to_end(build)
        while len(self._shelf) > self._size:
            self._shelf.popitem(last=False)
