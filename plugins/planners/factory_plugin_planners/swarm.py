"""Swarm: a bag of tasks without any order but that of the files they need; what must be agreed on is agreed on the board."""

from __future__ import annotations

from msgspec.structs import replace

from factory_core.contracts.plan import Arrangement, Draft, PlannedTask, Region

__all__ = ["Swarm"]


class Swarm:
    """Nobody waits for a phase or for a coordinator. Each task claims the paths it writes on the build's board."""

    name = "swarm"

    def arrange(self, draft: Draft, region: Region) -> Arrangement:
        """The region's tasks stand after nothing but what they need."""
        members = frozenset(region.tasks)
        free = _coordinators(draft)
        tasks = tuple(_freed(task, draft, free) if task.id in members else task for task in draft.tasks)
        before = sum(len(task.after) for task in draft.tasks if task.id in members)
        after = sum(len(task.after) for task in tasks if task.id in members)
        dropped = f", {before - after} of {before} edges are dropped" if after < before else ""
        said = f"Swarm: {len(members)} tasks in one bag{dropped}"
        absent = [task.id for task in draft.tasks if task.id in free]
        said += f"; nobody waits for {', '.join(absent)}." if absent else "."
        return Arrangement(tasks=tasks, said=(said,))


def _coordinators(draft: Draft) -> frozenset[str]:
    works = {work.name for work in draft.template.manifest.work if work.coordinates}
    return frozenset(task.id for task in draft.tasks if task.params.get("work") in works)


def _freed(task: PlannedTask, draft: Draft, free: frozenset[str]) -> PlannedTask:
    """What must end before the task, coordinators replaced by what they stand after themselves. Work that runs however
    others ended waits for all of them, as before."""
    if task.always:
        return task
    after: dict[str, None] = {}
    waiting = list(reversed(draft.needs.get(task.id, ())))
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in free and task.id not in free:
            if name not in seen:
                seen.add(name)
                waiting.extend(reversed(draft.needs.get(name, ())))
        else:
            after[name] = None
    return replace(task, after=tuple(after), params={**task.params, "paradigm": "swarm"})
