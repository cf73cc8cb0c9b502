"""Several maps to one: deeply, never silently."""

from __future__ import annotations

from msgspec.structs import replace

from .notes import Notes, quote
from .tree import Entry, Mapping, Sequence, Tree, same

__all__ = ["merge"]


def merge(one: Mapping, other: Mapping, notes: Notes) -> Mapping:
    """Both maps' keys. Equal values are fine; different values of one key are an error naming both lines."""
    found = {entry.key.text: entry for entry in one.entries}
    for entry in other.entries:
        name = entry.key.text
        found[name] = merge_entries(found[name], entry, notes) if name in found else entry
    return replace(one, entries=tuple(found.values()))


def merge_entries(one: Entry, other: Entry, notes: Notes) -> Entry:
    """The first entry, extended by what the other adds to it."""
    value: Tree = one.value
    if isinstance(value, Mapping) and isinstance(other.value, Mapping):
        value = merge(value, other.value, notes)
    elif not same(value, other.value):
        lists = isinstance(value, Sequence) and isinstance(other.value, Sequence)
        notes.error(
            "conflict",
            f"{quote(one.key.text)} has different values on lines {one.key.line} and {other.key.line}.",
            other.key,
            "Lists are never joined: put all items in one place." if lists else "Keep one of them.",
        )
    return replace(one, value=value, also=(*one.also, other.key.line, *other.also))
