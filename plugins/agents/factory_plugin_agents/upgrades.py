"""The difference of two schemas as steps of a migration, and what of it costs data or cannot be done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

from msgspec import Struct, field
from msgspec.structs import replace

from .carrying import carried, guards_of, same_storage
from .collisions import collision
from .kinds import quoted
from .pairing import paired
from .schema import Column, Index, Key, Schema, Table, Unique, column_type

__all__ = ["Difference", "Note", "Step", "difference"]


class Step(Struct, frozen=True, kw_only=True):
    """One thing a migration does. Templates ask ``kind``."""

    kind: ClassVar[str]
    table: str


class Create(Step, frozen=True, kw_only=True):
    kind: ClassVar[str] = "create"
    made: Table


class Drop(Step, frozen=True, kw_only=True):
    kind: ClassVar[str] = "drop"


class Rename(Step, frozen=True, kw_only=True):
    kind: ClassVar[str] = "rename"
    to: str


class Connect(Step, frozen=True, kw_only=True):
    """Add a foreign key that closes a circle."""

    kind: ClassVar[str] = "connect"
    key: Key


class Disconnect(Step, frozen=True, kw_only=True):
    kind: ClassVar[str] = "disconnect"
    name: str


class Refuse(Step, frozen=True, kw_only=True):
    """Stop when a row fulfils ``condition``."""

    kind: ClassVar[str] = "refuse"
    condition: str = "sa.true()"
    reason: str


class Distinct(Step, frozen=True, kw_only=True):
    """Stop when two rows are equal in all of ``columns``."""

    kind: ClassVar[str] = "distinct"
    columns: tuple[str, ...]
    reason: str


class Add(Step, frozen=True, kw_only=True):
    """Add a column that may be null."""

    kind: ClassVar[str] = "add"
    column: Column


class Fill(Step, frozen=True, kw_only=True):
    """Give the default to rows without a value."""

    kind: ClassVar[str] = "fill"
    column: Column

    @property
    def value(self) -> str:
        """As the column takes it."""
        return _exact(self.column, self.column.default)


class Carry(Step, frozen=True, kw_only=True):
    """Write what ``code`` makes of each value of ``old`` into the new column beside it."""

    kind: ClassVar[str] = "carry"
    old: Column
    column: Column
    code: str

    @property
    def made(self) -> str:
        """The code with both ends as the columns have it."""
        old = self.old
        plain = f"plain(value, {old.precision}, {old.scale})" if old.kind == "decimal" else "value"
        return _exact(self.column, self.code.replace("value", plain, 1))


def _exact(column: Column, code: str) -> str:
    return f"exact({code}, {column.precision}, {column.scale})" if column.kind == "decimal" else code


class Alter(Step, frozen=True, kw_only=True):
    """Everything that is done to the table as a whole, in the order of its parts."""

    kind: ClassVar[str] = "alter"
    unindexed: tuple[Index, ...] = ()
    unbound: tuple[tuple[str, str], ...] = ()
    """Names of constraints, each with ``unique`` or ``foreignkey``."""
    dropped: tuple[str, ...] = ()
    replaced: tuple[Column, ...] = ()
    """Columns that take over from one of the same name which was dropped."""
    changed: tuple[tuple[Column, Column], ...] = ()
    uniques: tuple[Unique, ...] = ()
    keys: tuple[Key, ...] = ()
    indexes: tuple[Index, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether there is anything but indexes."""
        return any((self.unbound, self.dropped, self.replaced, self.changed, self.uniques, self.keys))

    def __bool__(self) -> bool:
        return self.whole or bool(self.unindexed or self.indexes)


class Note(Struct, frozen=True):
    """Something about ``subject`` (``Card``, ``Card.title``) that a person must know."""

    code: str
    subject: str
    message: str


class Difference(Struct, kw_only=True):
    """Steps that lead from one schema to another."""

    steps: list[Step] = field(default_factory=list[Step])
    warnings: list[Note] = field(default_factory=list[Note])
    """What is lost, and which rows stop the migration."""
    refusals: list[Note] = field(default_factory=list[Note])
    """What no migration can do."""


def difference(old: Schema, new: Schema, *, back: bool = False) -> Difference:
    """From ``old`` to ``new``. ``back``: undoing that ``new`` became ``old``; where rows lack a value then, there must be
    none."""
    pairs = paired(old, new)
    names = {before.name: after.name for before, after in pairs}
    kept = {after.name for _, after in pairs}
    gone = [table for table in old.tables if table.name not in names]
    made = [table for table in new.tables if table.name not in kept]
    found = Difference()
    taken = {table.name for table in old.tables}
    for before, after in pairs:
        if before.name != after.name:
            _rename(found, before, after, taken)
    replaced = {table.name for table in gone} & {table.name for table in made}
    found.steps += [Drop(table=name) for name in sorted(replaced)]
    found.steps += [Create(table=table.name, made=table) for table in made]
    for before, after in pairs:
        _Alteration(found, _renamed(before, after, names), after, held=before.uniques, back=back).work_out()
    found.steps += [Connect(table=table.name, key=key) for table in made for key in table.keys if key.later]
    found.steps += [
        Disconnect(table=table.name, name=key.name) for table in gone for key in table.keys if key.later
    ]
    found.steps += [Drop(table=table.name) for table in reversed(gone) if table.name not in replaced]
    found.warnings += [
        Note(
            "data-dropped",
            table.owner,
            f"{table.owner or 'The accounts'}: the table {table.name} is dropped with all rows.",
        )
        for table in gone
    ]
    return found


def _rename(found: Difference, before: Table, after: Table, taken: set[str]) -> None:
    """Names of constraints tell the table, so they go with the old name."""
    if after.name in taken:
        message = f"{after.owner}: the table {before.name} cannot become {after.name}, another's: give it another path."
        found.refusals.append(Note("table-taken", after.owner, message))
    found.steps.append(Rename(table=before.name, to=after.name))
    loose = Alter(
        table=after.name,
        unindexed=before.indexes,
        unbound=_bonds(before.uniques, before.keys),
    )
    found.steps += [loose] if loose else []


def _renamed(before: Table, after: Table, names: dict[str, str]) -> Table:
    """The table as it is once all are renamed."""
    keys = tuple(replace(key, target=names.get(key.target, key.target)) for key in before.keys)
    if before.name == after.name:
        return replace(before, keys=keys)
    return replace(before, name=after.name, keys=(), uniques=(), indexes=())


def _bonds(uniques: Iterable[Unique], keys: Iterable[Key]) -> tuple[tuple[str, str], ...]:
    return (*((one.name, "unique") for one in uniques), *((one.name, "foreignkey") for one in keys))


class _Alteration:
    """One table that stays, column by column."""

    def __init__(
        self, found: Difference, old: Table, new: Table, *, held: tuple[Unique, ...], back: bool
    ) -> None:
        self._found = found
        self._old = old
        self._new = new
        self._held = held
        """What kept rows apart, if under another table's name."""
        self._back = back
        self._guards: list[Step] = []
        self._adds: list[Column] = []
        self._fills: list[Column] = []
        self._carries: list[Carry] = []
        self._later: list[Column] = []
        self._changed: list[tuple[Column, Column]] = []

    def work_out(self) -> None:
        """Add the steps to what was found."""
        for column in self._new.columns:
            before = self._old.column(column.name)
            if before is None:
                self._add(column)
            else:
                self._compare(before, column)
        dropped = [column for column in self._old.columns if self._new.column(column.name) is None]
        for column in dropped:
            self._warn("data-dropped", column.field, "is dropped with what it holds.")
        table = self._new.name
        loosened = self._loosened()
        alter = self._alter(dropped, loosened)
        self._found.steps += self._guards
        self._found.steps += [Alter(table=table, unbound=_bonds(loosened, ()))] if loosened else []
        self._found.steps += [
            Add(table=table, column=replace(column, nullable=True)) for column in self._adds
        ]
        self._found.steps += [Fill(table=table, column=column) for column in self._fills]
        self._found.steps += self._carries
        self._found.steps += [Fill(table=table, column=column) for column in self._later]
        self._found.steps += self._distinct(alter.uniques)
        self._found.steps += [alter] if alter else []

    def _add(self, column: Column) -> None:
        self._adds.append(column)
        if column.default:
            self._fills.append(column)
        if column.nullable:
            return
        self._changed.append((replace(column, nullable=True), column))
        if column.default:
            return
        if self._back:
            self._guard(
                f"{column.field} has no default, so rows cannot get it back: empty {self._new.name} first."
            )
        elif column.kind in ("hashed", "encrypted"):
            self._refuse(
                "value-missing",
                column,
                "is a new secret, and rows of the release have none. Make it optional (?).",
            )
        else:
            self._refuse(
                "value-missing",
                column,
                "is new and required, and rows of the release have no value for it. Give it a default (= VALUE) or make it "
                "optional (?).",
            )

    def _compare(self, old: Column, new: Column) -> None:
        target = self._target(self._old, old), self._target(self._new, new)
        if None not in target and target[0] != target[1]:
            self._refuse_change(new, f"referred to {target[0]} and is to refer to {target[1]}")
        elif same_storage(old, new) or (self._back and same_storage(new, old)):
            self._require(old, new, self._fills, new)
            self._guard_values(old, new)
            if _stored(old) != _stored(new):
                self._changed.append((old, new))
        else:
            self._carry(old, new)

    def _require(self, old: Column, column: Column, fills: list[Column], filled: Column) -> None:
        """Rows without a value get the default, in column ``filled``, or stop the migration."""
        if column.nullable or not old.nullable:
            return
        if column.default:
            fills.append(filled)
            return
        reason = f"{column.field} is required now, and rows of {self._new.name} have no value for it: give them one first."
        self._guard(reason, f"sa.column({quoted(column.name)}).is_(None)")
        self._warn("rows-refused", column.field, "is required now: rows without a value stop the migration.")

    def _guard_values(self, old: Column, new: Column) -> None:
        for condition, words in guards_of(old, new):
            reason = f"{new.field} holds {words} in rows of {self._new.name}: change them first."
            self._guard(reason, condition)
            self._warn(
                "rows-refused", new.field, f"has become narrower: rows that hold {words} stop the migration."
            )

    def _carry(self, old: Column, new: Column) -> None:
        code = carried(old, new, back=self._back)
        if code is None:
            self._refuse_change(new, f"was {old.kind} and is to be {new.kind}")
            return
        beside = replace(new, name=f"{new.name}__new", nullable=True)
        self._adds.append(beside)
        self._require(old, new, self._later, beside)
        self._carries.append(Carry(table=self._new.name, old=old, column=beside, code=code))

    def _loosened(self) -> list[Unique]:
        """Constraints that stand back until rows without a value have the default: the rows may be equal then, and that is
        to be told in our words."""
        filled = {column.name for column in self._fills}
        return [one for one in self._old.uniques if filled & set(one.columns)]

    def _alter(self, dropped: Sequence[Column], loosened: Sequence[Unique]) -> Alter:
        carried_over = {step.old.name for step in self._carries}
        lost = carried_over | {column.name for column in dropped}
        old, new = self._old, self._new
        bound = [one for one in old.uniques if one not in loosened]
        uniques = [one for one in bound if one in new.uniques and not lost & set(one.columns)]
        indexes = [one for one in old.indexes if one in new.indexes and one.column not in lost]
        same = [replace(key, later=False) for key in new.keys]
        keys = [one for one in old.keys if replace(one, later=False) in same and one.column not in lost]
        names = {key.name for key in keys}
        return Alter(
            table=new.name,
            unindexed=tuple(one for one in old.indexes if one not in indexes),
            unbound=_bonds(
                (one for one in bound if one not in uniques),
                (one for one in old.keys if one not in keys),
            ),
            dropped=tuple(column.name for column in old.columns if column.name in lost),
            replaced=tuple(column for column in new.columns if column.name in carried_over),
            changed=tuple(self._changed),
            uniques=tuple(one for one in new.uniques if one not in uniques),
            keys=tuple(one for one in new.keys if one.name not in names),
            indexes=tuple(one for one in new.indexes if one not in indexes),
        )

    @staticmethod
    def _target(table: Table, column: Column) -> str | None:
        return next((key.target for key in table.keys if key.column == column.name), None)

    def _guard(self, reason: str, condition: str = "sa.true()") -> None:
        step = Refuse(table=self._new.name, condition=condition, reason=reason)
        if step not in self._guards:
            self._guards.append(step)

    def _distinct(self, made: Sequence[Unique]) -> Iterator[Distinct]:
        """Steps that stop at equal rows, where rows can be equal: each is told, or refused where two rows must be."""
        for one in self._new.uniques:
            found = collision(self._old, self._new, one, self._held)
            if found is None:
                continue
            if not found.certain:
                self._warn("rows-refused", found.subject, found.warning)
            elif not self._back:
                message = f"{found.subject} {found.refusal}"
                self._found.refusals.append(Note("rows-equal", found.subject, message))
            if one in made:
                yield Distinct(table=self._new.name, columns=one.columns, reason=found.reason)

    def _warn(self, code: str, subject: str, message: str) -> None:
        note = Note(code, subject, f"{subject} {message}")
        if note not in self._found.warnings:
            self._found.warnings.append(note)

    def _refuse(self, code: str, column: Column, message: str) -> None:
        self._found.refusals.append(Note(code, column.field, f"{column.field} {message}"))

    def _refuse_change(self, column: Column, change: str) -> None:
        self._refuse(
            "type-changed",
            column,
            f"{change}, and what rows of the release hold cannot be carried over. Give it another name: the old column is "
            "then dropped, and the new one begins empty.",
        )


def _stored(column: Column) -> tuple[object, ...]:
    """What the database knows of it."""
    return column_type(column), column.nullable
