"""Entities with typed fields."""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec.structs import replace

from factory_core.contracts.blueprint import Entity, Field, Secrecy

from .field_form import KEYS, long_form
from .field_types import NEVER_UNIQUE, BadType, read_field
from .links import Links
from .names import BUILT_IN, RESERVED_PATHS, Catalogue, check_known, check_name, normal, path_of
from .notes import Notes, quote
from .tables import inferred
from .tree import Entry, Mapping, Scalar, Sequence, Tree

__all__ = ["Draft", "collect", "read_entities", "read_fields"]

OPTIONS = ("_path", "_unique", "_owner", "_description", "_requirement")
QUERY_WORDS = ("limit", "cursor", "sort", "q")
PATH = re.compile(r"/[a-z0-9]+(-[a-z0-9]+)*")
Draft = Entry
"""An entity before its fields are read: its name and what stands below it."""


def collect(sources: Iterable[Tree], notes: Notes) -> list[Draft]:
    """The entities of every ``entities`` or ``tables`` block, names checked."""
    drafts: list[Draft] = []
    for source in sources:
        if isinstance(source, Mapping):
            drafts += source.entries
        elif isinstance(source, Sequence):
            for item in source.items:
                if isinstance(item, Mapping):
                    drafts += item.entries
                else:
                    notes.error(
                        "shape",
                        "An entity needs a name and fields.",
                        item,
                        "For example: Card: {title: text}",
                    )
        elif source.value is not None:
            notes.error("shape", "Entities are a map of names and fields.", source)
    taken: dict[str, Scalar] = {}
    return [draft for draft in drafts if check_name(draft.key, "an entity", notes, taken)]


def read_entities(drafts: list[Draft], links: Links, notes: Notes) -> tuple[Entity, ...]:
    """The entities with their fields, paths all different."""
    names = Catalogue(draft.key.text for draft in drafts)
    entities = [read_entity(draft, names, links, notes) for draft in drafts]
    paths: dict[str, Entity] = {}
    for draft, entity in zip(drafts, entities, strict=True):
        check_path(entity, draft, paths, notes)
    return tuple(entities)


def check_path(entity: Entity, draft: Draft, paths: dict[str, Entity], notes: Notes) -> None:
    """Note an error when the path is reserved or another entity's."""
    if entity.path.strip("/") in RESERVED_PATHS:
        message = f"The path {entity.path} of {quote(entity.name)} belongs to the service itself."
        notes.error("reserved-path", message, draft.key, f"Give it another: _path: {entity.path}-list")
    first = paths.setdefault(entity.path, entity)
    if first is not entity:
        message = f"{quote(entity.name)} and {quote(first.name)} (line {first.line}) both have the path {entity.path}."
        notes.error("same-path", message, draft.key, "Rename one of them, or give it a _path.")


def read_entity(draft: Draft, names: Catalogue, links: Links, notes: Notes) -> Entity:
    """One entity, from typed fields or from a bare list of column names."""
    name, value = draft.key.text, draft.value
    entity = Entity(name=name, fields=(), path=path_of(name), line=draft.key.line)
    if isinstance(value, Sequence):
        return replace(entity, fields=inferred(entity, value, names, notes))
    if isinstance(value, Scalar):
        if value.value is not None:
            notes.error("shape", f"{quote(name)} needs a map of fields.", value, "For example: {title: text}")
        notes.claim(value, f"entity:{name}")
        return entity
    fields: list[Field] = []
    taken: dict[str, Scalar] = {}
    for entry in value.entries:
        if is_link(entry, links):
            entity = replace(entity, requirements=links.read(entry.value))
            notes.claim(entry.value, f"entity:{name}")
        elif not entry.key.text.startswith("_") and field_name(entry.key, taken, notes):
            field = read_entry(entry, names, links, notes)
            fields += [field] if field else []
            claim_field(entry, f"field:{name}.{entry.key.text}", notes)
    entity = replace(entity, fields=tuple(fields))
    return read_options(entity, value, links, notes)


def claim_field(entry: Entry, part: str, notes: Notes) -> None:
    """What was read became the field; unknown keys of a long form did not."""
    if isinstance(entry.value, Mapping):
        notes.claim_keys(entry.value, KEYS, part)
    else:
        notes.claim(entry.value, part)


def is_link(entry: Entry, links: Links) -> bool:
    """Whether ``requirement: R-1`` on an entity is a link and not a field of that name."""
    return entry.key.text == "requirement" and links.names_one(entry.value)


def field_name(key: Scalar, taken: dict[str, Scalar], notes: Notes) -> bool:
    """Whether a field may have that name; notes an error when not."""
    shadowed = {normal(name): name for name in BUILT_IN}.get(normal(key.text))
    if shadowed:
        message = f"{quote(key.text)} would shadow {shadowed}, which every entity has."
        notes.error("shadowed", message, key, "Remove the field, or rename it.")
        return False
    if key.text in QUERY_WORDS:
        message = f"A list call has its own ?{key.text}=, so rows cannot be filtered by this field."
        notes.warn("query-word", message, key, "Another name can be filtered by.")
    return check_name(key, "a field", notes, taken)


def read_entry(entry: Entry, names: Catalogue, links: Links, notes: Notes) -> Field | None:
    """A field from its key and its short or long form; None with an error when it cannot be read."""
    name, value = entry.key.text, entry.value
    try:
        if isinstance(value, Mapping):
            return long_form(entry, value, names, links, notes)
        if isinstance(value, Scalar) and value.text:
            return replace(read_field(name, value.text.strip(), names.exact), line=entry.key.line)
    except BadType as fault:
        notes.error("type", f"{quote(name)}: {fault}", shifted(value, fault.at), fault.suggestion)
        return None
    notes.error("type", f"{quote(name)} has no type.", entry.key, f"For example: {name}: text")
    return None


def shifted(value: Tree, by: int) -> tuple[int, int]:
    """The place of a character of a value that stands on one line."""
    quotes = 1 if isinstance(value, Scalar) and value.quoted else 0
    return value.line, value.column + (by + quotes if isinstance(value, Scalar) else 0)


def read_options(entity: Entity, value: Mapping, links: Links, notes: Notes) -> Entity:
    """The keys of an entity that begin with ``_``."""
    for entry in value.entries:
        key = entry.key.text
        if not key.startswith("_"):
            continue
        if key not in OPTIONS:
            notes.unknown(entry, OPTIONS, f"the options of {entity.name}")
            continue
        entity = read_option(entity, key, entry.value, links, notes)
        notes.claim(entry.value, f"entity:{entity.name}")
    return entity


def read_option(entity: Entity, key: str, value: Tree, links: Links, notes: Notes) -> Entity:
    """The entity with one option read."""
    if key == "_unique":
        return replace(entity, unique_together=read_unique(entity, value, notes))
    if key == "_requirement":
        return replace(entity, requirements=(*entity.requirements, *links.read(value)))
    text = notes.text(value, key)
    if text is None:
        return entity
    if key == "_description":
        return replace(entity, description=text)
    if key == "_owner":
        known = {field.name for field in entity.fields}
        check_known(
            Scalar(text=text, value=text, quoted=False, line=value.line, column=value.column),
            known,
            "a field",
            notes,
        )
        return replace(entity, owner=text)
    if not PATH.fullmatch(text):
        suggestion = f"One segment in kebab-case, such as {entity.path}"
        notes.error("path", f"{quote(text)} is no path of a collection.", value, suggestion)
        return entity
    return replace(entity, path=text)


def read_unique(entity: Entity, value: Tree, notes: Notes) -> tuple[tuple[str, ...], ...]:
    """``[[board, title], …]``; a flat list is one combination."""
    items = notes.items(value, "_unique")
    flat = bool(items) and all(isinstance(item, Scalar) for item in items)
    groups = [items] if flat else [notes.items(item, "_unique") for item in items]
    found = [read_group(entity, group, notes) for group in groups]
    return tuple(group for group in found if group)


def read_group(entity: Entity, group: tuple[Tree, ...], notes: Notes) -> tuple[str, ...]:
    """The fields that are unique together; empty with an error when they cannot be."""
    words = [word for word in group if isinstance(word, Scalar)]
    fields = {field.name: field for field in entity.fields}
    known = [word for word in words if check_known(word, fields, f"a field of {entity.name}", notes)]
    for word in known:
        field = fields[word.text]
        if field.kind in NEVER_UNIQUE or field.secrecy is not Secrecy.NONE:
            notes.error("unique", f"{quote(word.text)} cannot be unique, alone or with others.", word)
    return tuple(word.text for word in known) if len(known) == len(group) else ()


def read_fields(tree: Tree | None, names: Catalogue, links: Links, notes: Notes) -> tuple[Field, ...]:
    """The fields of a body, which are written like an entity's."""
    mapping = notes.mapping(tree, "body")
    taken: dict[str, Scalar] = {}
    found: list[Field] = []
    for entry in mapping.entries if mapping else ():
        if check_name(entry.key, "a field", notes, taken):
            field = read_entry(entry, names, links, notes)
            found += [field] if field else []
    return tuple(found)
