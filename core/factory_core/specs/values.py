"""Values that endpoints and views give to fields."""

from __future__ import annotations

from collections.abc import Mapping as Lookup
from typing import Any

from factory_core.contracts.blueprint import Entity, Field, FieldKind

from .defaults import BadDefault, read_default
from .names import BUILT_IN, check_known
from .notes import Notes
from .tree import Mapping, Scalar, Tree, plain

__all__ = ["check_fields", "entity_of", "read_value", "read_values"]


def check_fields(words: tuple[Scalar, ...], entity: Entity, notes: Notes) -> tuple[str, ...]:
    """The words that name fields of the entity, built-in ones too; others are errors. A leading ``-`` is kept."""
    known = {*(field.name for field in entity.fields), *BUILT_IN}
    found: list[str] = []
    for word in words:
        bare = word.text.removeprefix("-")
        place = Scalar(text=bare, value=bare, quoted=word.quoted, line=word.line, column=word.column)
        if check_known(place, known, f"a field of {entity.name}", notes):
            found.append(word.text)
    return tuple(found)


def read_values(tree: Mapping, entity: Entity, words: set[str], notes: Notes) -> dict[str, Any]:
    """``field -> value`` for a row of the entity; ``words`` are the ``$`` values allowed."""
    fields = {field.name: field for field in entity.fields}
    found: dict[str, Any] = {}
    for entry in tree.entries:
        if check_known(entry.key, fields, f"a field of {entity.name}", notes):
            found[entry.key.text] = read_value(fields[entry.key.text], entry.value, words, notes)
    return found


def read_value(field: Field, tree: Tree, words: set[str], notes: Notes) -> Any:
    """The value as plain data, checked as far as its field's type can tell."""
    value = plain(tree)
    if isinstance(value, str) and value.startswith("$"):
        place = tree if isinstance(tree, Scalar) else None
        if place is not None:
            check_known(place, words, "known here", notes)
        return value
    if value is None:
        if not field.optional:
            notes.error("value", f"{field.name} is required and cannot be set to null.", tree)
        return value
    if isinstance(tree, Scalar) and field.kind not in (FieldKind.REFERENCE, FieldKind.MANY, FieldKind.LIST):
        check_scalar(field, tree, notes)
    return value


def check_scalar(field: Field, tree: Scalar, notes: Notes) -> None:
    """Note an error when a single value is not one of the field's; ``now`` and ``today`` are."""
    if field.kind is FieldKind.JSON:
        return
    try:
        read_default(field, tree.text)
    except BadDefault as fault:
        notes.error("value", f"{field.name}: {fault}", tree, fault.suggestion)


def entity_of(word: Scalar, entities: Lookup[str, Entity], notes: Notes) -> Entity | None:
    """The entity a word names; None with an error."""
    return entities[word.text] if check_known(word, entities, "an entity", notes) else None
