"""What the generated front end knows of the service: one JSON document, rendered as ``web/model.js``.

No name from the spec ever becomes an object key: JavaScript treats some keys (``__proto__``) and some orders (integers
first) in its own way, and a spec may use any word.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, cast

import msgspec

from factory_core.contracts.blueprint import (
    Blueprint,
    CrudCall,
    Endpoint,
    Entity,
    Field,
    FieldKind,
    Role,
    Secrecy,
    StateMachine,
    View,
)

__all__ = ["front_model"]

BOARD_KINDS = frozenset({FieldKind.ENUM, FieldKind.REFERENCE, FieldKind.BOOL})
"""Kinds with a known set of values, which can be the columns of a board."""
NAMING_KINDS = frozenset({FieldKind.TEXT, FieldKind.EMAIL, FieldKind.URL})
WIDE_KINDS = frozenset({FieldKind.JSON, FieldKind.LIST})
LONG_WORDS = frozenset(
    {
        "bio",
        "body",
        "comment",
        "comments",
        "content",
        "description",
        "details",
        "message",
        "note",
        "notes",
        "summary",
    }
)
LONG_FROM = 300
"""Text that may be this long is written in several lines."""
MOST_COLUMNS = 6

SINGULARS = ((r"ies$", "y"), (r"(ss|ch|sh|x|z)es$", r"\1"), (r"s?$", ""))
"""Endings of English plurals; the first that fits counts."""

ACCESS = {
    "read": (CrudCall.LIST, False),
    "create": (CrudCall.CREATE, True),
    "update": (CrudCall.UPDATE, True),
    "delete": (CrudCall.DELETE, True),
}


def front_model(blueprint: Blueprint) -> dict[str, Any]:
    """Everything the pages need; equal blueprints give equal documents, and every value is plain JSON."""
    model: dict[str, Any] = {
        "name": blueprint.project.name,
        "slug": blueprint.project.slug,
        "description": blueprint.project.description,
        "currency": blueprint.project.currency,
        "initial": next((letter for letter in blueprint.project.name if letter.isalnum()), "#").upper(),
        "roles": [role.name for role in blueprint.roles],
        "entities": [_entity(entity, blueprint) for entity in blueprint.entities],
        "views": _views(blueprint),
    }
    model["version"] = hashlib.sha256(msgspec.json.encode(model)).hexdigest()[:12]
    return model


def _words(name: str) -> str:
    """``orderLine``, ``order_line`` and ``OrderLine`` as "Order line"; words in capitals stay as they are."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[_\-\s]+", " ", name).split()
    lowered = [word if len(word) > 1 and word.isupper() else word.lower() for word in spaced]
    sentence = " ".join(lowered)
    return sentence[:1].upper() + sentence[1:]


def _one(name: str, plural: str) -> str:
    """What one row is called: specs name an entity ``Build`` or ``builds``."""
    if name != plural or re.search(r"(ss|us|is|ics|series)$", name):
        return name
    return next(re.sub(ending, rest, name) for ending, rest in SINGULARS if re.search(ending, name))


def _entity(entity: Entity, blueprint: Blueprint) -> dict[str, Any]:
    machines = [machine for machine in blueprint.states if machine.entity == entity.name]
    title = _title_field(entity)
    plural = _words(entity.path.rsplit("/", 1)[-1])
    return {
        "name": entity.name,
        "title": _one(_words(entity.name), plural),
        "plural": plural,
        "path": entity.path,
        "key": entity.path.strip("/"),
        "description": entity.description,
        "titleField": title,
        "fields": [_field(field, is_title=field.name == title) for field in entity.fields],
        "columns": _columns(entity, title),
        "states": [_states(machine) for machine in machines],
        "groupBy": machines[0].field if machines else None,
        "related": _related(entity, blueprint),
        "actions": [
            _action(endpoint, blueprint)
            for endpoint in blueprint.endpoints
            if endpoint.call is CrudCall.ACTION and endpoint.entity == entity.name
        ],
        "access": _access(entity, blueprint),
    }


def _title_field(entity: Entity) -> str | None:
    """The field a row is called by: the first required text, else the first thing that reads like a name."""
    open_fields = [field for field in entity.fields if field.secrecy is Secrecy.NONE]
    for field in open_fields:
        if field.kind is FieldKind.TEXT and not field.optional:
            return field.name
    return next((field.name for field in open_fields if field.kind in NAMING_KINDS), None)


def _field(field: Field, *, is_title: bool = False) -> dict[str, Any]:
    """A field; what is off or empty is left out, so that the document can be read."""
    described: dict[str, Any] = {
        "name": field.name,
        "label": _label(field),
        "kind": field.kind.value,
        "optional": field.optional,
        "required": _is_required(field, is_title=is_title),
        "readonly": field.readonly,
        "secret": field.secrecy is not Secrecy.NONE,
        "long": _is_long(field, is_title=is_title),
        "min": field.minimum,
        "max": field.maximum,
        "scale": field.scale,
        "money": field.money,
        "values": [{"value": value, "label": _words(value) or value} for value in field.values],
        "item": _field(field.item) if field.item else None,
        "target": field.target,
        "description": field.description,
    }
    default = {"hasDefault": True, "default": field.default} if field.has_default else {}
    return {name: value for name, value in described.items() if not _is_off(value)} | default


def _is_off(value: object) -> bool:
    """Nothing, no or empty; the number 0 is a value."""
    return value is None or value is False or value in ("", [])


def _label(field: Field) -> str:
    is_link = (
        field.kind is FieldKind.REFERENCE and field.name.endswith("_id") and len(field.name) > len("_id")
    )
    return _words(field.name.removesuffix("_id") if is_link else field.name)


def _is_required(field: Field, *, is_title: bool) -> bool:
    """Whether a form insists on a value. Text may be empty by the spec, but a row nobody can name helps nobody."""
    if field.optional or field.has_default or field.kind in {FieldKind.MANY, FieldKind.LIST, FieldKind.BOOL}:
        return False
    return field.kind is not FieldKind.TEXT or is_title or (field.minimum or 0) > 0


def _is_long(field: Field, *, is_title: bool) -> bool:
    if field.kind is not FieldKind.TEXT or is_title:
        return False
    if field.maximum is not None:
        return field.maximum >= LONG_FROM
    return field.name.lower().rsplit("_", 1)[-1] in LONG_WORDS


def _columns(entity: Entity, title: str | None) -> list[str]:
    narrow = [
        field.name
        for field in entity.fields
        if field.name != title
        and field.secrecy is Secrecy.NONE
        and field.kind not in WIDE_KINDS
        and not _is_long(field, is_title=False)
    ]
    columns = ([title] if title else []) + narrow
    if len(columns) < MOST_COLUMNS // 2:
        columns.append("created_at")
    return columns[:MOST_COLUMNS]


def _states(machine: StateMachine) -> dict[str, Any]:
    return {
        "field": machine.field,
        "initial": machine.initial,
        "moves": [{"from": state, "to": list(after)} for state, after in machine.transitions.items()],
    }


def _related(entity: Entity, blueprint: Blueprint) -> list[dict[str, Any]]:
    """The fields anywhere that point at this entity."""
    return [
        {"entity": other.name, "field": field.name}
        for other in blueprint.entities
        for field in other.fields
        if field.target == entity.name
    ]


def _action(endpoint: Endpoint, blueprint: Blueprint) -> dict[str, Any]:
    words = [part for part in endpoint.path.split("/") if part and not part.startswith("{")]
    return {
        "label": _words(words[-1]) if len(words) > 1 else _words(endpoint.name) or "Run",
        "method": endpoint.method,
        "path": endpoint.path,
        "onRow": "{id}" in endpoint.path,
        "description": endpoint.description,
        "sets": [{"field": name, "value": value} for name, value in endpoint.sets.items()],
        "creates": endpoint.creates,
        "returns": endpoint.returns,
        "body": [_field(field) for field in endpoint.body],
        "roles": _action_roles(endpoint, blueprint),
    }


def _action_roles(endpoint: Endpoint, blueprint: Blueprint) -> list[str]:
    writes = endpoint.method != "GET"
    return [
        role.name
        for role in blueprint.roles
        if _may(role, endpoint.entity, writes=writes, named=endpoint.roles)
    ]


def _access(entity: Entity, blueprint: Blueprint) -> dict[str, list[str]]:
    """Per kind of call the roles that may make it; without roles everybody may and the lists are empty."""
    named: dict[CrudCall, Sequence[str]] = {
        endpoint.call: endpoint.roles
        for endpoint in blueprint.endpoints
        if endpoint.entity == entity.name and endpoint.roles
    }
    return {
        verb: [
            role.name
            for role in blueprint.roles
            if _may(role, entity.name, writes=writes, named=named.get(call, ()))
        ]
        for verb, (call, writes) in ACCESS.items()
    }


def _may(role: Role, entity: str | None, *, writes: bool, named: Sequence[str]) -> bool:
    if any(grant.verb == "all" for grant in role.grants):
        return True
    if named:
        return role.name in named
    verbs = {"write", "own"} if writes else {"read", "own"}
    return any(grant.verb in verbs and grant.entity in (None, entity) for grant in role.grants)


def _views(blueprint: Blueprint) -> list[dict[str, Any]]:
    keys: set[str] = set()
    views: list[dict[str, Any]] = []
    for view in blueprint.views:
        views.append(_view(view, blueprint, key := _free_key(view.name, keys)))
        keys.add(key)
    return views


def _view(view: View, blueprint: Blueprint, key: str) -> dict[str, Any]:
    entity = blueprint.entity(view.lists)
    grouped = next((field for field in entity.fields if field.name == view.group_by), None)
    return {
        "key": key,
        "name": view.name,
        "entity": view.lists,
        "kind": "board" if grouped and grouped.kind in BOARD_KINDS else "list",
        "groupBy": view.group_by,
        "filter": [_condition(name, value) for name, value in view.filter.items()],
        "sort": ",".join(view.sort),
        "columns": list(view.columns) or _columns(entity, _title_field(entity)),
        "form": list(view.form),
    }


def _free_key(name: str, taken: set[str]) -> str:
    wanted = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "view"
    number = 2
    key = wanted
    while key in taken:
        key = f"{wanted}-{number}"
        number += 1
    return key


def _condition(name: str, value: object) -> dict[str, str]:
    """One filter of a view as the API's query string wants it; a list means any of its values."""
    if isinstance(value, list | tuple):
        return {
            "key": f"{name}_in",
            "value": ",".join(_query(item) for item in cast("Sequence[object]", value)),
        }
    return {"key": name, "value": _query(value)}


def _query(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
