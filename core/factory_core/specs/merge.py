"""Several maps to one: deeply, never silently."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from .notes import Notes, quote
from .tree import Entry, Mapping, Sequence, same

__all__ = ["merge"]


def merge(entries: Iterable[Entry], notes: Notes) -> tuple[Entry, ...]:
    """Each key once. Equal values are fine; different values of one key are an error naming both lines."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.key.text, []).append(entry)
    return tuple(join(group, notes) if len(group) > 1 else group[0] for group in groups.values())


def join(group: list[Entry], notes: Notes) -> Entry:
    """The first of several entries of one key, extended by what the others add to it."""
    first, *others = group
    value = first.value
    maps = [entry.value for entry in group if isinstance(entry.value, Mapping)]
    if isinstance(value, Mapping) and len(maps) == len(group):
        value = replace(value, entries=merge([entry for part in maps for entry in part.entries], notes))
    else:
        for other in others:
            refuse_different(first, other, notes)
    lines = [line for other in others for line in (other.key.line, *other.also)]
    return replace(first, value=value, also=(*first.also, *lines))


def refuse_different(one: Entry, other: Entry, notes: Notes) -> None:
    """Note an error unless two values are the same."""
    if same(one.value, other.value):
        return
    lists = isinstance(one.value, Sequence) and isinstance(other.value, Sequence)
    notes.error(
        "conflict",
        f"{quote(one.key.text)} has different values on lines {one.key.line} and {other.key.line}.",
        other.key,
        "Lists are never joined: put all items in one place." if lists else "Keep one of them.",
    )
