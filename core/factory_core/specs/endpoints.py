"""``endpoints``: what the service answers beyond the plain life of its entities."""

from __future__ import annotations

import re
from collections.abc import Mapping as Lookup
from typing import Any

from msgspec.structs import replace

from factory_core.contracts.blueprint import CrudCall, Endpoint, Entity, Field, FieldKind, Role

from .entities import read_fields
from .links import Links
from .names import RESERVED_PATHS, Catalogue, check_known
from .notes import Notes, quote
from .tree import Entry, Mapping, Scalar, Sequence, Tree
from .values import entity_of, read_values

__all__ = ["Desk", "classify", "read_endpoint"]

KEYS = ("sets", "creates", "returns", "body", "roles", "requirement", "description")
DOES = ("sets", "creates", "returns")
METHODS = ("GET", "POST", "PATCH", "DELETE")
DECLARED = re.compile(r"([A-Z]+)\s+(\S+)")
SEGMENT = re.compile(r"[A-Za-z0-9_-]+|\{[A-Za-z_][A-Za-z0-9_]*\}")
PARAMETER = re.compile(r"\{[^}]*\}")
CRUD = {
    ("GET", ""): CrudCall.LIST,
    ("POST", ""): CrudCall.CREATE,
    ("GET", "/{id}"): CrudCall.DETAILS,
    ("PATCH", "/{id}"): CrudCall.UPDATE,
    ("DELETE", "/{id}"): CrudCall.DELETE,
}


class Desk:
    """What reading an endpoint needs to know of the rest."""

    def __init__(
        self, entities: Lookup[str, Entity], roles: tuple[Role, ...], links: Links, notes: Notes
    ) -> None:
        self.entities = entities
        self.names = Catalogue(entities)
        self.paths = {entity.path: entity for entity in entities.values()}
        self.roles = {role.name for role in roles}
        self.links = links
        self.notes = notes

    def at(self, path: str) -> Entity | None:
        """The entity whose collection a path begins with."""
        return self.paths.get("/" + path.split("/")[1]) if "/" in path else None


def read_endpoint(entry: Entry, desk: Desk) -> Endpoint | None:
    """An endpoint given as ``METHOD /path``; None with an error when it is none."""
    found = DECLARED.fullmatch(entry.key.text.strip())
    if found is None or not check_path(found[1], found[2], entry.key, desk.notes):
        if found is None:
            example = "For example: POST /cards/{id}/finish"
            desk.notes.error("endpoint", f"{quote(entry.key.text)} is no endpoint.", entry.key, example)
        return None
    path = found[2]
    if len(PARAMETER.findall(path)) == 1:
        path = PARAMETER.sub("{id}", path)
    endpoint = Endpoint(method=found[1], path=path, call=CrudCall.STUB, line=entry.key.line)
    return read_body(endpoint, entry.value, desk)


def check_path(method: str, path: str, key: Scalar, notes: Notes) -> bool:
    """Whether method and path are allowed; notes an error when not."""
    segments = path.strip("/").split("/")
    if method not in METHODS:
        hint = "Use PATCH." if method == "PUT" else f"Methods: {', '.join(METHODS)}."
        notes.error("endpoint", f"{quote(method)} is no method of the service.", key, hint)
    elif not path.startswith("/") or not all(SEGMENT.fullmatch(segment) for segment in segments):
        hint = "Segments hold letters, digits, - and _; the row's id is {id}."
        notes.error("endpoint", f"{quote(path)} is no path.", key, hint)
    elif segments[0] in RESERVED_PATHS:
        notes.error(
            "reserved-path", f"/{segments[0]} belongs to the service itself.", key, "Choose another path."
        )
    else:
        return True
    return False


def read_body(endpoint: Endpoint, tree: Tree, desk: Desk) -> Endpoint:
    """The endpoint with everything declared below its name, and what that makes of it."""
    mapping = tree if isinstance(tree, Mapping) else Mapping(entries=(), line=tree.line, column=tree.column)
    known = all(entry.key.text in KEYS for entry in mapping.entries)
    entity = desk.at(endpoint.path)
    endpoint = replace(
        endpoint,
        entity=entity.name if entity else None,
        body=read_fields(mapping.get("body"), desk.names, desk.links, desk.notes),
        roles=read_roles(mapping.get("roles"), desk),
        description=desk.notes.text(mapping.get("description"), "description") or "",
        requirements=desk.links.read(mapping.get("requirement")),
    )
    if entity is not None:
        endpoint = read_effects(endpoint, entity, mapping, desk)
    endpoint = replace(endpoint, call=classify(endpoint, known=known, mapping=mapping))
    claim(endpoint, tree, mapping, desk)
    return endpoint


def claim(endpoint: Endpoint, tree: Tree, mapping: Mapping, desk: Desk) -> None:
    """What was read became the endpoint; other keys stay *not understood*. All that stands below one that answers 501 is
    stubbed with it."""
    part = f"endpoint:{endpoint.method} {endpoint.path}"
    stub = endpoint.call is CrudCall.STUB
    if (
        stub
        or isinstance(tree, Scalar)
        or not (mapping.entries or (isinstance(tree, Sequence) and tree.items))
    ):
        desk.notes.claim(tree, part)
    for entry in mapping.entries:
        if entry.key.text in KEYS and (endpoint.entity or entry.key.text not in DOES):
            desk.notes.claim(entry.value, part)
        elif entry.key.text not in KEYS and not endpoint.name:
            fate = "this one will answer 501" if stub else "it is kept as not understood"
            desk.notes.unknown(entry, KEYS, "an endpoint", fate)


def read_roles(tree: Tree | None, desk: Desk) -> tuple[str, ...]:
    """The roles that may call it."""
    words = desk.notes.words(tree, "roles")
    return tuple(word.text for word in words if check_known(word, desk.roles, "a role", desk.notes))


def classify(endpoint: Endpoint, *, known: bool, mapping: Mapping) -> CrudCall:
    """CRUD of an entity, an action that can be generated, or a stub."""
    entity_path = "/" + endpoint.path.split("/")[1]
    if endpoint.entity is None:
        return CrudCall.STUB
    does = [key for key in DOES if mapping.get(key) is not None]
    crud = CRUD.get((endpoint.method, endpoint.path.removeprefix(entity_path)))
    if crud is not None and not does:
        return crud
    if crud is not None or not known or not does or len(PARAMETER.findall(endpoint.path)) > 1:
        return CrudCall.STUB
    row = "{id}" in endpoint.path
    if (endpoint.sets and not row) or ("sets" in does and not endpoint.sets):
        return CrudCall.STUB
    if "creates" in does and endpoint.creates is None:
        return CrudCall.STUB
    answers = {endpoint.creates, endpoint.entity if row else None, None}
    return CrudCall.ACTION if endpoint.returns in answers and (row or endpoint.creates) else CrudCall.STUB


def read_effects(endpoint: Endpoint, entity: Entity, mapping: Mapping, desk: Desk) -> Endpoint:
    """What it sets, creates and returns."""
    notes = desk.notes
    words = {"$id"} if "{id}" in endpoint.path else set[str]()
    words |= {f"$body.{field.name}" for field in endpoint.body}
    sets = notes.mapping(mapping.get("sets"), "sets")
    if sets is not None:
        endpoint = replace(endpoint, sets=read_sets(sets, entity, words, notes))
    creates = mapping.get("creates")
    if creates is not None:
        endpoint = read_creates(endpoint, creates, words, desk)
    returns = mapping.get("returns")
    if isinstance(returns, Scalar) and returns.text:
        answer = entity_of(returns, desk.entities, notes)
        endpoint = replace(endpoint, returns=answer.name if answer else None)
    return endpoint


def read_sets(tree: Mapping, entity: Entity, words: set[str], notes: Notes) -> dict[str, Any]:
    """``Card.status: done`` or ``status: done`` on the row that the path names."""
    fields: list[Entry] = []
    for entry in tree.entries:
        owner, dot, field = entry.key.text.rpartition(".")
        if dot and owner != entity.name:
            message = f"{quote(entry.key.text)} is not on the row that the path names, a {entity.name}."
            notes.error("sets", message, entry.key, f"Only fields of {entity.name} can be set here.")
        else:
            fields.append(replace(entry, key=replace(entry.key, text=field)))
    return read_values(replace(tree, entries=tuple(fields)), entity, words, notes)


def read_creates(endpoint: Endpoint, tree: Tree, words: set[str], desk: Desk) -> Endpoint:
    """``creates: Card``, filled from the body, or ``creates: {Card: {board: $id, title: $body.title}}``."""
    notes = desk.notes
    if isinstance(tree, Scalar):
        entity = entity_of(tree, desk.entities, notes)
        names = {field.name for field in entity.fields} if entity else set[str]()
        values: dict[str, Any] = {f.name: f"$body.{f.name}" for f in endpoint.body if f.name in names}
    elif isinstance(tree, Mapping) and len(tree.entries) == 1:
        entry = tree.entries[0]
        entity = entity_of(entry.key, desk.entities, notes)
        inner = notes.mapping(entry.value, "creates")
        values = read_values(inner, entity, words, notes) if entity and inner else {}
    else:
        notes.error("creates", "creates names one entity.", tree, "creates: {Card: {title: $body.title}}")
        return endpoint
    if entity is None:
        return endpoint
    missing = [field.name for field in entity.fields if needed(field) and field.name not in values]
    if missing:
        example = f"creates: {{{entity.name}: {{{missing[0]}: …}}}}"
        notes.error(
            "creates", f"A new {entity.name} needs {', '.join(missing)}.", tree, f"For example: {example}"
        )
    return replace(endpoint, creates=entity.name, creates_values=values)


def needed(field: Field) -> bool:
    """Whether a row cannot be made without a value for the field."""
    return not (field.optional or field.has_default or field.kind in (FieldKind.MANY, FieldKind.LIST))
