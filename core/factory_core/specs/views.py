"""``views``: the pages of the generated front end."""

from __future__ import annotations

from collections.abc import Mapping as Lookup
from typing import Any

from factory_core.contracts.blueprint import Entity, View

from .links import Links
from .names import BUILT_IN, check_known, check_name
from .notes import Notes, quote
from .tree import Entry, Mapping, Scalar, Tree, plain
from .values import check_fields, entity_of

__all__ = ["read_views"]

KEYS = ("lists", "group_by", "filter", "sort", "columns", "form", "requirement")
SUFFIXES = ("_gte", "_lte", "_ne", "_in")


def read_views(
    tree: Tree | None, entities: Lookup[str, Entity], links: Links, notes: Notes
) -> tuple[View, ...]:
    """The declared views, in order."""
    mapping = notes.mapping(tree, "views")
    taken: dict[str, Scalar] = {}
    named = [
        entry
        for entry in (mapping.entries if mapping else ())
        if check_name(entry.key, "a view", notes, taken)
    ]
    found = [read_view(entry, entities, links, notes) for entry in named]
    return tuple(view for view in found if view is not None)


def read_view(entry: Entry, entities: Lookup[str, Entity], links: Links, notes: Notes) -> View | None:
    """One view; None with an error when it shows nothing."""
    mapping = notes.mapping(entry.value, entry.key.text)
    lists = mapping.get("lists") if mapping else None
    if mapping is None or not isinstance(lists, Scalar):
        notes.error("view", f"The view {quote(entry.key.text)} shows nothing.", entry.key, "Add: lists: Card")
        return None
    notes.keys(mapping, KEYS, "a view")
    entity = entity_of(lists, entities, notes)
    if entity is None:
        return None
    words = {key: notes.words(mapping.get(key), key) for key in ("group_by", "sort", "columns", "form")}
    fields = {key: check_fields(value, entity, notes) for key, value in words.items()}
    notes.claim_keys(mapping, KEYS, f"view:{entry.key.text}")
    return View(
        name=entry.key.text,
        lists=entity.name,
        group_by=fields["group_by"][0] if fields["group_by"] else None,
        filter=read_filter(mapping.get("filter"), entity, notes),
        sort=fields["sort"],
        columns=fields["columns"],
        form=fields["form"],
        requirements=links.read(mapping.get("requirement")),
        line=entry.key.line,
    )


def read_filter(tree: Tree | None, entity: Entity, notes: Notes) -> dict[str, Any]:
    """``field: value``, with the suffixes that the list call knows."""
    mapping: Mapping | None = notes.mapping(tree, "filter")
    names = {*(field.name for field in entity.fields), *BUILT_IN}
    known = names | {name + suffix for name in names for suffix in SUFFIXES}
    entries = mapping.entries if mapping else ()
    return {
        entry.key.text: plain(entry.value)
        for entry in entries
        if check_known(entry.key, known, f"a filter of {entity.name}", notes)
    }
