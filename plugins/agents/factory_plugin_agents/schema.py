"""The tables of a release, as its migrations leave them: what the next release's migration starts from."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from factory_core.contracts.blueprint import Field, FieldKind, Secrecy

from .context import EntityView, FieldView, LinkView, creation_order
from .kinds import quoted

__all__ = [
    "SCHEMA_FILE",
    "Column",
    "Index",
    "Key",
    "Schema",
    "Table",
    "Unique",
    "column_type",
    "read_schema",
    "schema_of",
    "written",
]

SCHEMA_FILE = "migrations/schema.json"
ACCOUNTS = "auth_accounts"
MOST_TABLES = 1000
MOST_DEFAULTS = 128 * 1024
"""Characters of all defaults. They are Python, and parsed."""

Name = Annotated[str, Meta(min_length=1, max_length=500)]
Some = Annotated[tuple[str, ...], Meta(min_length=1, max_length=100)]
Words = Annotated[str, Meta(max_length=200)]
Digits = Annotated[int, Meta(ge=0, le=38)]


class Column(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A column. ``kind`` is the field's kind, ``list text`` for a list of text, ``hashed`` or ``encrypted`` for a secret."""

    name: Name
    kind: str
    nullable: bool = False
    length: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None
    precision: Digits = 0
    scale: Digits = 0
    values: tuple[str, ...] = ()
    """What an enum may hold."""
    default: str = ""
    """What a row gets that has no value, as Python; empty when the specification gives none."""
    field: Words = ""
    """``Card.title``; empty for what is in every table."""


class Unique(Struct, frozen=True, kw_only=True):
    name: Name
    columns: Some


class Index(Struct, frozen=True, kw_only=True):
    name: Name
    column: str


class Key(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A foreign key to the ``id`` of ``target``. ``later``: it closes a circle of tables."""

    name: Name
    column: str
    target: str
    on_delete: str = ""
    later: bool = False


class Table(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A table. ``owner`` is what it is made for: ``Card``, ``Card.labels``, or nothing for the accounts."""

    name: Name
    owner: Words = ""
    primary: Some = ("id",)
    columns: Annotated[tuple[Column, ...], Meta(max_length=500)]
    uniques: tuple[Unique, ...] = ()
    indexes: tuple[Index, ...] = ()
    keys: tuple[Key, ...] = ()

    def column(self, name: str) -> Column | None:
        """The column of that name."""
        return next((column for column in self.columns if column.name == name), None)


class Schema(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All tables, each after those it refers to but for keys that close a circle; links last."""

    format: int = 1
    revision: str = ""
    """The migration that leads to them."""
    tables: Annotated[tuple[Table, ...], Meta(max_length=MOST_TABLES)] = ()

    def table(self, name: str) -> Table | None:
        """The table of that name."""
        return next((table for table in self.tables if table.name == name), None)


def written(schema: Schema) -> str:
    """As it stands in the project."""
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


def read_schema(content: bytes) -> Schema:
    """What ``written`` wrote. It may be anybody's, and becomes Python: so it names nothing but what it holds, and what is
    no plain value is refused. Raises msgspec.DecodeError."""
    try:
        schema = msgspec.json.decode(content, type=Schema)
    except (RecursionError, UnicodeError) as error:
        raise msgspec.DecodeError("it is no list of tables") from error
    tables = {table.name for table in schema.tables}
    if len(tables) < len(schema.tables):
        raise msgspec.ValidationError("two tables have one name")
    if sum(len(column.default) for table in schema.tables for column in table.columns) > MOST_DEFAULTS:
        raise msgspec.ValidationError(f"the defaults have more than {MOST_DEFAULTS} characters")
    for table in schema.tables:
        _check(table, tables)
    return schema


def _check(table: Table, tables: set[str]) -> None:
    """Raises msgspec.ValidationError."""
    columns = {column.name for column in table.columns}
    named = [*table.primary, *(index.column for index in table.indexes), *(key.column for key in table.keys)]
    named += [name for unique in table.uniques for name in unique.columns]
    constraints = [one.name for one in (*table.uniques, *table.indexes, *table.keys)]
    for name in (table.name, *columns, *constraints):
        if not name.isidentifier():
            raise msgspec.ValidationError(f"{name!a} is no name")
    if len(columns) < len(table.columns) or not columns.issuperset(named):
        raise msgspec.ValidationError(f"the columns of {table.name} are not those it names")
    if not tables.issuperset(key.target for key in table.keys):
        raise msgspec.ValidationError(f"{table.name} refers to a table that is not there")
    if any(key.on_delete not in ("", "CASCADE", "SET NULL") for key in table.keys):
        raise msgspec.ValidationError(f"{table.name} has a key that is not known")
    for column in table.columns:
        if column.kind not in _KINDS and not column.kind.startswith("list "):
            raise msgspec.ValidationError(f"{table.name}.{column.name} is of no kind that is known")
        if not _plain(column.default):
            raise msgspec.ValidationError(f"the default of {table.name}.{column.name} is no plain value")


_MADE = re.compile(
    r"datetime\.now\(UTC\)(\.date\(\))?"
    r"|(Decimal|UUID|(date|datetime|time)\.fromisoformat)\(\"[0-9A-Za-z:+. -]{1,64}\"\)"
)
"""The calls that ``_default`` writes."""


def _plain(code: str) -> bool:
    """Whether it is a value as ``_default`` writes it, to the letter: so it holds no comment and no second line."""
    if not code or _MADE.fullmatch(code):
        return True
    try:
        value = ast.literal_eval(code)
        return code in (quoted(value), repr(value))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False


_ID = Column(name="id", kind="uuid")
_DATES = (Column(name="created_at", kind="datetime"), Column(name="updated_at", kind="datetime"))


def schema_of(entities: tuple[EntityView, ...], *, accounts: bool) -> Schema:
    """The tables that the models of these entities describe."""
    ordered = creation_order(entities)
    tables = [_accounts()] if accounts else []
    tables += [_table(entity) for entity in ordered]
    tables += [_links(entity, link) for entity in ordered for link in entity.links]
    return Schema(tables=tuple(tables))


def _accounts() -> Table:
    columns = (
        Column(name="email", kind="email", length=254),
        Column(name="password", kind="hashed"),
        Column(name="role", kind="text", length=100),
    )
    return Table(
        name=ACCOUNTS,
        columns=(_ID, *_DATES, *columns),
        uniques=(_unique(ACCOUNTS, ("email",)),),
    )


def _table(entity: EntityView) -> Table:
    name = entity.table
    columns = [_column(entity, field) for field in entity.columns]
    keys = [
        _key(name, field.column_name, field.target_table, field.on_delete, later=field.cyclic)
        for field in entity.columns
        if field.reference
    ]
    if entity.access.any_own:
        columns.append(
            Column(name="made_by", kind="reference", nullable=True, field=f"{entity.name}'s maker")
        )
        keys.append(_key(name, "made_by", ACCOUNTS, "SET NULL"))
    uniques = [(field.column_name,) for field in entity.columns if field.field.unique]
    return Table(
        name=name,
        owner=entity.name,
        columns=(_ID, *_DATES, *columns),
        uniques=tuple(_unique(name, group) for group in (*uniques, *entity.unique_columns)),
        indexes=tuple(_index(name, column) for column in entity.indexed_columns),
        keys=tuple(keys),
    )


def _links(entity: EntityView, link: LinkView) -> Table:
    sides = (
        _key(link.table, link.owner, entity.table, "CASCADE"),
        _key(link.table, link.target, link.target_table, "" if link.target_refuses else "CASCADE"),
    )
    return Table(
        name=link.table,
        owner=f"{entity.name}.{link.name}",
        primary=(link.owner, link.target),
        columns=(
            Column(name=link.owner, kind="reference"),
            Column(name=link.target, kind="reference"),
            Column(name="position", kind="position"),
        ),
        indexes=(_index(link.table, link.target),),
        keys=sides,
    )


def _column(entity: EntityView, field: FieldView) -> Column:
    known = field.field
    text = known.kind in {FieldKind.TEXT, FieldKind.ENUM, FieldKind.EMAIL}
    return Column(
        name=field.column_name,
        kind=_kind(known),
        nullable=field.optional,
        length=_length(known) if text and field.shown else None,
        precision=known.precision or 0,
        scale=known.scale or 0,
        values=known.values,
        default=_default(field),
        field=f"{entity.name}.{field.name}",
    )


def _kind(field: Field) -> str:
    if field.secrecy is not Secrecy.NONE:
        return field.secrecy.value
    return f"list {field.item.kind.value}" if field.item is not None else field.kind.value


def _length(field: Field) -> int | None:
    if field.kind is FieldKind.EMAIL:
        return 254
    return max(map(len, field.values)) if field.kind is FieldKind.ENUM else field.maximum or None


def _default(field: FieldView) -> str:
    """A secret's default is hashed or encrypted by the service, which a migration cannot."""
    if not field.shown or field.default == "None":
        return ""
    if field.dynamic:
        return {"today()": "datetime.now(UTC).date()"}.get(field.default, "datetime.now(UTC)")
    return field.default or ("[]" if field.field.kind is FieldKind.LIST else "")


def _named(prefix: str, table: str, columns: Iterable[str]) -> str:
    """As the models' naming convention has it."""
    return "_".join((prefix, table, *columns))


def _unique(table: str, columns: tuple[str, ...]) -> Unique:
    return Unique(name=_named("uq", table, columns), columns=columns)


def _index(table: str, column: str) -> Index:
    return Index(name=_named("ix", table, (column,)), column=column)


def _key(table: str, column: str, target: str, on_delete: str, *, later: bool = False) -> Key:
    return Key(
        name=_named("fk", table, (column,)), column=column, target=target, on_delete=on_delete, later=later
    )


_TYPES = {
    "int": "sa.BigInteger()",
    "float": "sa.Double()",
    "bool": "sa.Boolean()",
    "date": "sa.Date()",
    "datetime": "sa.DateTime(timezone=True)",
    "time": "sa.Time()",
    "uuid": "sa.Uuid()",
    "reference": "sa.Uuid()",
    "json": "sa.JSON(none_as_null=True)",
    "position": "sa.Integer()",
}


_KINDS = frozenset({*_TYPES, "text", "email", "url", "enum", "decimal", "hashed", "encrypted"})


def column_type(column: Column) -> str:
    """Its type in a migration, which uses nothing of the application: that changes, and the migration stays."""
    if column.kind == "decimal":
        exact = f"sa.Numeric({column.precision}, {column.scale})"
        return f'{exact}.with_variant(sa.String({column.precision + 1}), "sqlite")'
    if column.kind.startswith("list "):
        return _TYPES["json"]
    return _TYPES.get(column.kind, f"sa.String({column.length or ''})")
