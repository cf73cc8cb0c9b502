"""What a unique constraint asks of the rows that a table holds when the constraint comes."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from .schema import Table, Unique

__all__ = ["Collision", "collision"]


class Collision(Struct, frozen=True, kw_only=True):
    """Rows that are equal in ``held``, which they have already, come to be equal in all that is to be unique."""

    table: str
    columns: tuple[str, ...]
    held: tuple[str, ...]
    given: tuple[str, ...]
    """New columns, which have one value in all rows."""
    owner: str
    fields: tuple[str, ...]
    """What the specification calls ``columns``."""
    given_fields: tuple[str, ...]

    @property
    def certain(self) -> bool:
        """Whether any two rows are equal then."""
        return not self.held

    @property
    def subject(self) -> str:
        """The field that is new or unique, or the entity."""
        if self.given:
            return self.given_fields[0]
        return self.fields[0] if len(self.fields) == 1 else self.owner

    @property
    def reason(self) -> str:
        """Why the migration stops, and what to do in the database that it found."""
        if self.certain:
            return (
                f"Rows of {self.table} would all have one value in {_listed(self.given)}, which is to be unique: leave no "
                "more than one row first."
            )
        reason = f"Rows of {self.table} are equal in {_listed(self.columns)}, which is to be unique: "
        if not self.given:
            return f"{reason}change them first."
        return (
            f"{reason}change {_listed(self.held)} first, or migrate to a release that has {_listed(self.given)} without a "
            "default and optional, and give the rows values there."
        )

    @property
    def warning(self) -> str:
        """For the report, of rows that may be there."""
        if not self.given:
            together = f" in {_listed(self.columns)}" if len(self.columns) > 1 else ""
            return f"is to be unique{together}: rows that are equal there stop the migration. Change them before."
        return (
            f"is new, unique together with {_listed(self.held)}, and has one value in all rows: rows that are equal in "
            f"{_listed(self.held)} stop the migration. {self._way}"
        )

    @property
    def refusal(self) -> str:
        """For the report, of a change that stops wherever there are two rows."""
        together = f" together with {_listed(self.given[1:])}" if self.given[1:] else ""
        return f"is new and unique{together}, and all rows of the release would get its default. {self._way}"

    @property
    def _way(self) -> str:
        return (
            "Make it optional (?) and leave the default out: rows without a value never clash. Give them values in that "
            "release, and require it in the next."
        )


def collision(old: Table, new: Table, unique: Unique, held: Sequence[Unique]) -> Collision | None:
    """None where rows of ``old`` cannot come to be equal, since what they have already keeps them apart (``held``: the
    constraints on them) or a column without a value does."""
    given = tuple(name for name in unique.columns if old.column(name) is None)
    if any(not _default(new, name) for name in given):
        return None
    apart = [old.primary, *(one.columns for one in held)]
    if any(set(group) <= set(unique.columns) and _steady(old, new, group) for group in apart):
        return None
    return Collision(
        table=new.name,
        columns=unique.columns,
        held=tuple(name for name in unique.columns if name not in given),
        given=given,
        owner=new.owner,
        fields=_fields(new, unique.columns),
        given_fields=_fields(new, given),
    )


def _steady(old: Table, new: Table, names: Sequence[str]) -> bool:
    """Whether no row is given a value in these columns. Values that are carried over differ as before."""
    return all(
        before is not None and after is not None and (after.nullable or not before.nullable)
        for before, after in ((old.column(name), new.column(name)) for name in names)
    )


def _default(table: Table, name: str) -> str:
    column = table.column(name)
    return column.default if column is not None else ""


def _fields(table: Table, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(column.field for name in names if (column := table.column(name)) is not None)


def _listed(words: Sequence[str]) -> str:
    return " and ".join(words)
