"""What one task may read of the blueprint. The less it reads, the more can be reused when the spec changes."""

from __future__ import annotations

from msgspec.structs import replace

from factory_core.contracts.blueprint import (
    Blueprint,
    Constraints,
    Endpoint,
    Entity,
    Field,
    FieldKind,
    Hints,
    Role,
)

from .errors import PlanError

__all__ = ["narrow", "requirements_by_entity"]

_PREFIX = "entity:"


def narrow(blueprint: Blueprint, scope: str) -> Blueprint:
    """The part of the blueprint that a scope (``project`` or ``entity:Card``) stands for.

    An entity is read with its neighbours (those it refers to, those that refer to it, those its endpoints create or
    return) and with everything these refer to in turn: a test that makes a row of one needs rows of the others, and
    whether references run in a circle shows only in the whole of it. A list of rows beyond them reads as plain ids, so that
    every name in the result is also found in it. Line numbers are gone: moving a section of the spec changes nothing.
    """
    if scope == "project":
        return blueprint
    name = scope.removeprefix(_PREFIX)
    if not scope.startswith(_PREFIX) or name not in {entity.name for entity in blueprint.entities}:
        raise PlanError(
            f"Scope {scope!r} is neither project nor an entity of this spec. Plan the build anew."
        )
    ring = _ring(blueprint, name)
    entities = tuple(_as_seen(entity, name, ring) for entity in blueprint.entities if entity.name in ring)
    endpoints = tuple(_unnumbered_endpoint(item) for item in blueprint.endpoints if item.entity == name)
    views = tuple(replace(item, line=0) for item in blueprint.views if item.lists == name)
    wanted = set(requirements_by_entity(blueprint)[name])
    wanted.update(*(item.requirements for item in (*endpoints, *views)))
    return replace(
        blueprint,
        project=replace(blueprint.project, line=0),
        entities=entities,
        states=tuple(replace(item, line=0) for item in blueprint.states if item.entity in ring),
        rules=tuple(replace(item, line=0) for item in blueprint.rules if item.entity in ring),
        roles=tuple(_as_granted(role, ring) for role in blueprint.roles),
        endpoints=endpoints,
        views=views,
        requirements=tuple(replace(item, line=0) for item in blueprint.requirements if item.id in wanted),
        acceptance=(),
        constraints=Constraints(),
        behaviours={},
        phases=(),
        hints=Hints(),
        technology={},
        deliverables=(),
        do_not_build=(),
        references=(),
        assumptions=(),
        nodes=(),
    )


def requirements_by_entity(blueprint: Blueprint) -> dict[str, tuple[str, ...]]:
    """Ids linked to each entity, its fields, states, rules or plain CRUD, by either side, in the spec's order."""
    linked = {entity.name: {*entity.requirements} for entity in blueprint.entities}
    paths = {entity.path: entity.name for entity in blueprint.entities}
    for entity in blueprint.entities:
        linked[entity.name].update(*(field.requirements for field in entity.fields))
    for item in (*blueprint.states, *blueprint.rules):
        linked.setdefault(item.entity, set()).update(item.requirements)
    for requirement in blueprint.requirements:
        for by in requirement.by:
            called = paths.get(by.partition(" ")[2].removesuffix("/{id}"), "")
            linked.get(called or by.partition(".")[0], set[str]()).add(requirement.id)
    order = {item.id: index for index, item in enumerate(blueprint.requirements)}
    return {
        name: tuple(sorted(known, key=lambda one: (order.get(one, len(order)), one)))
        for name, known in linked.items()
    }


def _ring(blueprint: Blueprint, name: str) -> frozenset[str]:
    entities = {entity.name: entity for entity in blueprint.entities}
    near = {name, *_targets(entities[name])}
    near.update(entity.name for entity in blueprint.entities if name in _targets(entity))
    for endpoint in blueprint.endpoints:
        if endpoint.entity == name:
            near.update(other for other in (endpoint.creates, endpoint.returns) if other is not None)
            near.update(field.target for field in endpoint.body if field.target is not None)
    ring: set[str] = set()
    waiting = sorted(near & entities.keys())
    while waiting:
        found = waiting.pop()
        if found in entities and found not in ring:
            ring.add(found)
            waiting.extend(_targets(entities[found], FieldKind.REFERENCE))
    return frozenset(ring)


def _targets(entity: Entity, *kinds: FieldKind) -> set[str]:
    return {
        field.target
        for field in entity.fields
        if field.target is not None and (not kinds or field.kind in kinds)
    }


def _as_seen(entity: Entity, name: str, ring: frozenset[str]) -> Entity:
    fields = entity.fields if entity.name == name else tuple(_cut(field, ring) for field in entity.fields)
    return replace(entity, fields=tuple(_unnumbered(field) for field in fields), line=0)


def _cut(field: Field, ring: frozenset[str]) -> Field:
    if field.target is None or field.target in ring:
        return field
    return replace(field, kind=FieldKind.LIST, target=None, item=Field(name=field.name, kind=FieldKind.UUID))


def _unnumbered(field: Field) -> Field:
    item = None if field.item is None else _unnumbered(field.item)
    return replace(field, item=item, line=0)


def _unnumbered_endpoint(endpoint: Endpoint) -> Endpoint:
    return replace(endpoint, body=tuple(_unnumbered(field) for field in endpoint.body), line=0)


def _as_granted(role: Role, ring: frozenset[str]) -> Role:
    grants = tuple(grant for grant in role.grants if grant.entity is None or grant.entity in ring)
    return replace(role, grants=grants, line=0)
