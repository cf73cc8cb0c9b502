"""Rows that an earlier release may hold, and what becomes of them: for the test that migrates them."""

from __future__ import annotations

from msgspec import Struct

from .carrying import same_storage
from .kinds import quoted
from .pairing import paired
from .schema import Column, Schema, Table

__all__ = ["Sample", "samples"]


class Sample(Struct, frozen=True, kw_only=True):
    """Rows of one table before, and what must be found in ``after`` of them. Values are Python, as SQLite stores them."""

    table: str
    columns: tuple[Column, ...]
    rows: tuple[dict[str, str], ...]
    after: str = ""
    """The table's name afterwards; empty when it is dropped."""
    kept: tuple[Column, ...] = ()
    found: tuple[dict[str, str], ...] = ()


def samples(old: Schema, new: Schema) -> tuple[Sample, ...]:
    """Up to two rows of each table: the first full, the second without what may be absent."""
    targets = {before.name: after for before, after in paired(old, new)}
    counts = {table.name: 2 for table in old.tables}
    while (
        fewer := {table.name: _count(table, targets.get(table.name), counts) for table in old.tables}
    ) != counts:
        counts = fewer
    return tuple(_sample(table, targets.get(table.name), counts) for table in old.tables)


def _count(table: Table, after: Table | None, counts: dict[str, int]) -> int:
    """How many rows can differ in everything that is unique, now or then."""
    variety = {column.name: _variety(table, column, after, counts) for column in table.columns}
    if any(not variety[column.name] and not _may_lack(column, after) for column in table.columns):
        return 0
    uniques = [*table.uniques, *(after.uniques if after is not None else ())]
    groups = [table.primary, *(unique.columns for unique in uniques)]
    # What has no value at all is null, and nulls never clash.
    return min([counts[table.name], *(max(variety.get(name, 1) for name in group) or 2 for group in groups)])


def _variety(table: Table, column: Column, after: Table | None, counts: dict[str, int]) -> int:
    """How many values there are to choose from, at most two."""
    target = next((key.target for key in table.keys if key.column == column.name), None)
    if target is not None:
        return counts[target]
    then = after.column(column.name) if after is not None else None
    words = _words(column, then)
    return 2 if words is None else min(len(words), 2)


def _may_lack(column: Column, after: Table | None) -> bool:
    then = after.column(column.name) if after is not None else None
    return column.nullable and (then is None or then.nullable or bool(then.default))


def _words(column: Column, then: Column | None) -> tuple[str, ...] | None:
    """The words that fit before and after; None where any text does."""
    now = column.values if column.kind == "enum" else None
    later = then.values if then is not None and then.kind == "enum" else None
    if now is None or later is None:
        return now if later is None else later
    return tuple(word for word in now if word in later)


def _sample(table: Table, after: Table | None, counts: dict[str, int]) -> Sample:
    numbers = range(counts[table.name])
    rows = tuple(
        {column.name: _cell(table, column, after, counts, n) for column in table.columns} for n in numbers
    )
    kept = [column for column in after.columns if _foretold(table, column)] if after is not None else []
    found = [
        {
            column.name: _found(row.get(column.name, "None"), table.column(column.name), column)
            for column in kept
        }
        for row in rows
    ]
    return Sample(
        table=table.name,
        columns=table.columns,
        rows=rows,
        after=after.name if after is not None else "",
        kept=tuple(kept),
        found=tuple(found),
    )


def _foretold(table: Table, column: Column) -> bool:
    """Whether what is found afterwards can be told here: what was there before, or a default that is the same each time."""
    old = table.column(column.name)
    if old is not None and not (old.nullable and not column.nullable):
        return same_storage(old, column) or (old.kind, column.kind) in _CARRIED
    plain = column.kind in _PLAIN or column.kind.startswith("list ")
    return (old is None or same_storage(old, column)) and plain and (bool(column.default) or column.nullable)


def _found(value: str, old: Column | None, column: Column) -> str:
    if value == "None":
        return column.default or value
    if old is None or same_storage(old, column):
        return value
    return _carried(value, old, column)


def _cell(table: Table, column: Column, after: Table | None, counts: dict[str, int], n: int) -> str:
    variety = _variety(table, column, after, counts)
    if not variety or (n == 1 and _may_lack(column, after) and column.name not in table.primary):
        return "None"
    if any(key.column == column.name for key in table.keys):
        return f"UUID(int={min(n, variety - 1) + 1})"
    then = after.column(column.name) if after is not None else None
    words = _words(column, then)
    if words is not None:
        return quoted(words[min(n, variety - 1)])
    if column.kind == "decimal":
        return _decimal(column, then, n)
    return "[]" if column.kind.startswith("list ") else _VALUES[column.kind][n]


def _decimal(column: Column, then: Column | None, n: int) -> str:
    """The scaled integer as SQLite keeps it; with no more digits than both columns have."""
    scale = min(column.scale, then.scale) if then is not None and then.kind == "decimal" else 0
    return _encoded(n, scale, column)


def _encoded(number: int, scale: int, column: Column) -> str:
    """``number`` of the units of ``scale`` digits after the point."""
    scaled = number * 10 ** (column.scale - scale)
    return quoted(str(10**column.precision + scaled).zfill(column.precision + 1))


_CARRIED = frozenset(
    {("decimal", "decimal"), ("int", "decimal"), ("int", "float"), ("int", "text"), ("bool", "text")}
)


def _carried(value: str, old: Column, new: Column) -> str:
    """What becomes of a sample's value, told apart from the migration that is tried with it."""
    match old.kind, new.kind:
        case "decimal", _:
            return _encoded(int(value.strip('"')) - 10**old.precision, old.scale, new)
        case _, "decimal":
            return _encoded(int(value), 0, new)
        case _, "float":
            return value
        case _:
            return quoted(value.lower())


_PLAIN = frozenset({"text", "email", "url", "enum", "int", "float", "bool", "uuid", "json"})
_VALUES = {
    "text": ('"a"', '"b"'),
    "email": ('"a@example.com"', '"b@example.com"'),
    "url": ('"https://example.com/a"', '"https://example.com/b"'),
    "hashed": ('"a"', '"b"'),
    "encrypted": ('"a"', '"b"'),
    "int": ("0", "1"),
    "position": ("0", "1"),
    "float": ("0.0", "1.5"),
    "bool": ("False", "True"),
    "date": ("date(2020, 1, 1)", "date(2020, 1, 2)"),
    "datetime": ("datetime(2020, 1, 1)", "datetime(2020, 1, 2)"),
    "time": ("time(1)", "time(2)"),
    "uuid": ("UUID(int=1)", "UUID(int=2)"),
    "reference": ("UUID(int=1)", "UUID(int=2)"),
    "json": ("{}", '{"a": 1}'),
}
