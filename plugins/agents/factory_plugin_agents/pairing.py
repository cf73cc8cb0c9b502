"""Which table of one schema is which of another."""

from __future__ import annotations

from .schema import Schema, Table

__all__ = ["paired"]


def paired(old: Schema, new: Schema) -> list[tuple[Table, Table]]:
    """Tables before and after: of the same name and owner, else of one owner, else of one name."""
    found: dict[str, Table] = {}
    for rank in (3, 2, 1):
        for after in new.tables:
            taken = {table.name for table in found.values()}
            alike = (
                table for table in old.tables if _likeness(table, after) == rank and table.name not in taken
            )
            before = next(alike, None)
            if after.name not in found and before is not None:
                found[after.name] = before
    return [(found[table.name], table) for table in new.tables if table.name in found]


def _likeness(before: Table, after: Table) -> int:
    if before.primary != after.primary:
        return 0
    named, owned = before.name == after.name, before.owner == after.owner
    if named:
        return 3 if owned else 1
    return 2 if owned and after.owner else 0
