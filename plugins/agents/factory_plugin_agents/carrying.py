"""How the values of a column are carried over when its type changes."""

from __future__ import annotations

from .kinds import quoted
from .schema import Column

__all__ = ["carried", "guards_of", "same_storage"]

_TEXTS = frozenset({"text", "email", "url", "enum"})
_AS_TEXT = {
    "int": ("str(value)", "int(value)"),
    "float": ("repr(value)", "float(value)"),
    "decimal": ('format(value, "f")', "Decimal(value)"),
    "bool": ('"true" if value else "false"', 'value == "true"'),
    "date": ("value.isoformat()", "date.fromisoformat(value)"),
    "datetime": ("value.isoformat()", "datetime.fromisoformat(value)"),
    "time": ("value.isoformat()", "time.fromisoformat(value)"),
    "uuid": ("str(value)", "UUID(value)"),
    "reference": ("str(value)", "UUID(value)"),
}
"""There and back, where the text has no greatest length."""
_WIDER = {
    ("int", "float"): ("float(value)", "whole(value)"),
    ("int", "decimal"): ("Decimal(value)", "whole(value)"),
    ("decimal", "decimal"): ("value", "value"),
    ("date", "datetime"): ("datetime.combine(value, time(), UTC)", "value.date()"),
}


def same_storage(old: Column, new: Column) -> bool:
    """Whether values stay as they are stored, though perhaps not all of them fit."""
    if old.kind == new.kind:
        return old.kind != "decimal" or (old.precision, old.scale) == (new.precision, new.scale)
    if old.kind in _TEXTS and new.kind in {"text", "enum"}:
        return True
    if "json" in (old.kind, new.kind):
        return old.kind.startswith("list ") and new.kind == "json"
    return {old.kind, new.kind} == {"uuid", "reference"}


def carried(old: Column, new: Column, *, back: bool) -> str | None:
    """Python that makes the new value of ``value``; None where nothing is sure to. ``back``: undoing such a change."""
    if back:
        pair = _WIDER.get((new.kind, old.kind)) or (_AS_TEXT.get(new.kind) if old.kind == "text" else None)
        return pair[1] if pair else None
    roomy = new.kind == "text" and new.length is None
    pair = _WIDER.get((old.kind, new.kind)) or (_AS_TEXT.get(old.kind) if roomy else None)
    return pair[0] if pair else None


def guards_of(old: Column, new: Column) -> tuple[tuple[str, str], ...]:
    """What no row may hold if the column's type changes so: a condition, and the same in words."""
    column = f"sa.column({quoted(old.name)})"
    if new.kind == "enum" and (old.kind != "enum" or set(old.values) - set(new.values)):
        words = ", ".join(new.values)
        listed = ", ".join(map(quoted, new.values))
        return ((f"{column}.not_in([{listed}])", f"something else than {words}"),)
    if new.kind in _TEXTS and new.length is not None and (old.length is None or old.length > new.length):
        if new.kind == "enum" or old.kind not in _TEXTS:
            return ()
        return ((f"sa.func.length({column}) > {new.length}", f"more than {new.length} characters"),)
    return ()
