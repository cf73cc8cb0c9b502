"""Circles of tables: which references must be made after the tables they join."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from factory_core.contracts.blueprint import Blueprint, FieldKind

__all__ = ["cyclic_fields"]


def cyclic_fields(blueprint: Blueprint) -> frozenset[tuple[str, str]]:
    """References that close a circle of tables and lead from an earlier entity to a later one.

    Without them the tables can be made one after the other, and each can be told from its circle alone."""
    order = {entity.name: number for number, entity in enumerate(blueprint.entities)}
    leads = {
        entity.name: {field.target for field in entity.fields if field.kind is FieldKind.REFERENCE}
        for entity in blueprint.entities
    }
    return frozenset(
        (entity.name, field.name)
        for entity in blueprint.entities
        for field in entity.fields
        if field.kind is FieldKind.REFERENCE
        and order[entity.name] < order.get(field.target or "", -1)
        and _reaches(leads, field.target or "", entity.name)
    )


def _reaches(leads: Mapping[str, AbstractSet[str | None]], start: str, goal: str) -> bool:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            waiting += [target for target in leads.get(name, ()) if target]
    return False
