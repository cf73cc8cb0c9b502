"""What is told of a build before it starts: what its specification changes, and what of the plan would run."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from msgspec import Struct

from factory_core.contracts.blueprint import Blueprint
from factory_core.planning import unnumbered

__all__ = ["Changes", "Estimate", "changes_between"]

_NAMED = {"entities": "entity", "roles": "role", "views": "view", "acceptance": "case"}


class Changes(Struct, frozen=True, kw_only=True):
    """What differs between two specifications. Moving something is no change."""

    requirements: tuple[str, ...] = ()
    """Ids that were added, removed or reworded."""
    nodes: tuple[str, ...] = ()
    """``entity:Card``, ``endpoint:POST /cards/{id}/finish``, ``rule:Card: estimate >= 0`` …"""


class Estimate(Struct, frozen=True, kw_only=True):
    """What a build of a specification would do, in seconds of work on one core as the plan reckons them."""

    tasks: int
    """Tasks of the plan that are work, merges and the delivery among them."""
    again: tuple[str, ...]
    """Those that would run, at most: what may read the files of one that runs counts as running, though its inputs may
    come out the same. The gates among them remember pieces and may run a part of what they are quoted with."""
    seconds: float
    total_seconds: float
    since: UUID | None = None
    """The build that ``changes`` are against: the newest of the project, if there is one."""
    changes: Changes = Changes()

    def told(self) -> str:
        """In one line."""
        return (
            f"at most {len(self.again)} of {self.tasks} tasks run, "
            f"about {self.seconds:.1f} s of {self.total_seconds:.1f} s of work"
        )


def changes_between(old: Blueprint, new: Blueprint) -> Changes:
    """What was added, removed or changed, by name."""
    old_nodes, new_nodes = _nodes(old), _nodes(new)
    before, after = _requirements(old), _requirements(new)
    return Changes(
        requirements=tuple(
            name for name in dict.fromkeys([*after, *before]) if before.get(name) != after.get(name)
        ),
        nodes=tuple(
            name
            for name in dict.fromkeys([*new_nodes, *old_nodes])
            if old_nodes.get(name) != new_nodes.get(name)
        ),
    )


def _requirements(blueprint: Blueprint) -> dict[str, Any]:
    return {item.id: unnumbered(item) for item in blueprint.requirements}


def _nodes(blueprint: Blueprint) -> dict[str, Any]:
    nodes: dict[str, Any] = {"project": unnumbered(blueprint.project), "constraints": blueprint.constraints}
    for part, kind in _NAMED.items():
        nodes |= {f"{kind}:{item.name}": unnumbered(item) for item in getattr(blueprint, part)}
    nodes |= {f"endpoint:{item.method} {item.path}": unnumbered(item) for item in blueprint.endpoints}
    nodes |= {f"states:{item.entity}.{item.field}": unnumbered(item) for item in blueprint.states}
    nodes |= {f"rule:{item.entity}: {item.text}": unnumbered(item) for item in blueprint.rules}
    return nodes
