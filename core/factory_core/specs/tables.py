"""Tables given as bare lists of column names: types are inferred from the names and listed as assumptions."""

from __future__ import annotations

from msgspec.structs import replace

from factory_core.contracts.blueprint import Entity, Field, FieldKind

from .field_types import read_field
from .names import BUILT_IN, Catalogue, check_name
from .notes import Notes, quote
from .tree import Scalar, Sequence

__all__ = ["inferred"]

EXACT = {
    "password_hash": "text secret",
    "email": "email unique",
    "timestamp": "datetime?",
    "settings": "json?",
    "metadata": "json?",
    "minutes": "int?",
    "price": "decimal(12,2)?",
    "cost": "decimal(12,2)?",
    "value": "float",
}
ENDINGS = {"_at": "datetime?", "_on": "date?", "_km": "int?", "_count": "int?", "_amount": "decimal(12,2)?"}
BEGINNINGS = ("in_", "is_", "has_")


def inferred(entity: Entity, columns: Sequence, names: Catalogue, notes: Notes) -> tuple[Field, ...]:
    """The fields of a table, one per column that is not built in."""
    fields: list[Field] = []
    taken: dict[str, Scalar] = {}
    for column in columns.items:
        if not isinstance(column, Scalar):
            notes.error("shape", f"{quote(entity.name)} lists names of columns only.", column)
        elif column.text in BUILT_IN:
            notes.claim(column, f"entity:{entity.name}")
        elif check_name(column, "a column", notes, taken):
            text = guess(column.text, names)
            fields.append(replace(read_field(column.text, text, names.exact), line=column.line))
            notes.assume(f"{entity.name}.{column.text} is {text}", column)
            notes.claim(column, f"field:{entity.name}.{column.text}")
    return tuple(fields)


def guess(column: str, names: Catalogue) -> str:
    """The short form a column's name suggests."""
    if column in EXACT:
        return EXACT[column]
    if column.endswith("_id"):
        return names.called(column.removesuffix("_id")) or FieldKind.UUID.value
    if column.startswith(BEGINNINGS):
        return "bool = false"
    return next((text for ending, text in ENDINGS.items() if column.endswith(ending)), FieldKind.TEXT.value)
