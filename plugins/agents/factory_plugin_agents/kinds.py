"""Each kind of field as generated code: its column, its type in JSON, its default."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

from factory_core.contracts.blueprint import Field, FieldKind, Secrecy

__all__ = ["body_type", "column_type", "default_code", "effective_optional", "python_type"]

_PYTHON = {
    FieldKind.TEXT: "str",
    FieldKind.INT: "int",
    FieldKind.FLOAT: "float",
    FieldKind.DECIMAL: "Decimal",
    FieldKind.BOOL: "bool",
    FieldKind.DATE: "date",
    FieldKind.DATETIME: "datetime",
    FieldKind.TIME: "time",
    FieldKind.UUID: "UUID",
    FieldKind.EMAIL: "str",
    FieldKind.URL: "str",
    FieldKind.JSON: "Any",
    FieldKind.ENUM: "str",
    FieldKind.LIST: "list[Any]",
    FieldKind.REFERENCE: "UUID",
}

_BODY = {
    FieldKind.TEXT: "Text",
    FieldKind.INT: "Integer",
    FieldKind.FLOAT: "Number",
    FieldKind.BOOL: "StrictBool",
    FieldKind.DATE: "Day",
    FieldKind.DATETIME: "Instant",
    FieldKind.TIME: "Clock",
    FieldKind.UUID: "UUID",
    FieldKind.EMAIL: "Email",
    FieldKind.URL: "WebAddress",
    FieldKind.JSON: "JsonValue",
    FieldKind.REFERENCE: "UUID",
    FieldKind.MANY: "Links",
}

_COLUMNS = {
    FieldKind.INT: "BigInteger()",
    FieldKind.FLOAT: "Double()",
    FieldKind.BOOL: "Boolean()",
    FieldKind.DATE: "Date()",
    FieldKind.DATETIME: "UtcDateTime()",
    FieldKind.TIME: "Time()",
    FieldKind.UUID: "Uuid()",
    FieldKind.REFERENCE: "Uuid()",
    FieldKind.EMAIL: "String(254)",
    FieldKind.URL: "String()",
    FieldKind.JSON: "JSON(none_as_null=True)",
    FieldKind.LIST: "JSON(none_as_null=True)",
}


def effective_optional(field: Field) -> bool:
    """Whether a row may lack the value: nobody can give a read-only field one at the start."""
    return field.optional or (field.readonly and not field.has_default and field.kind is not FieldKind.MANY)


def python_type(field: Field) -> str:
    """The type of the model's attribute."""
    if field.secrecy is not Secrecy.NONE:
        return "str"
    return _PYTHON[field.kind]


def column_type(field: Field) -> str:
    """The column's type, as SQLAlchemy spells it."""
    if field.secrecy is not Secrecy.NONE:
        return "String()"
    if field.kind is FieldKind.TEXT:
        return f"String({field.maximum})" if field.maximum else "String()"
    if field.kind is FieldKind.ENUM:
        return f"String({max(len(word) for word in field.values)})"
    if field.kind is FieldKind.DECIMAL:
        return f"ExactDecimal({field.precision}, {field.scale})"
    return _COLUMNS[field.kind]


def body_type(field: Field, *, bounds: bool = True) -> str:
    """The type that reads the field from JSON; without ``bounds`` it is the one that answers."""
    if field.kind is FieldKind.DECIMAL:
        return f"Annotated[Decimal, Exact({field.precision}, {field.scale})]"
    if field.kind is FieldKind.ENUM:
        return f"Literal[{', '.join(json.dumps(word, ensure_ascii=False) for word in field.values)}]"
    if field.kind is FieldKind.LIST:
        return f"list[{body_type(field.item, bounds=bounds) if field.item else 'JsonValue'}]"
    if field.kind is FieldKind.FLOAT and not bounds:
        return "FiniteFloat"
    plain = _BODY[field.kind]
    limits = _limits(field) if bounds else ""
    if limits and field.kind is FieldKind.TEXT:
        return f"Annotated[str, Field({limits}), Storable]"
    return f"Annotated[{plain}, Field({limits})]" if limits else plain


def _limits(field: Field) -> str:
    low, high = ("ge", "le") if field.kind is FieldKind.INT else ("min_length", "max_length")
    bounds = ((low, field.minimum), (high, field.maximum))
    return ", ".join(f"{name}={value}" for name, value in bounds if value is not None)


def default_code(field: Field, value: object) -> str:
    """A value of the field, such as its default, as a Python expression."""
    if value is None:
        return "None"
    write = _DEFAULTS.get(field.kind)
    return write(field, str(value)) if write else quoted(value)


def quoted(value: object) -> str:
    """A literal in double quotes where it is text."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _decimal(field: Field, value: str) -> str:
    return f'Decimal("{Decimal(value).quantize(Decimal(1).scaleb(-(field.scale or 0)))}")'


def _date(_field: Field, value: str) -> str:
    return "today()" if value == "today" else f'date.fromisoformat("{value}")'


def _datetime(_field: Field, value: str) -> str:
    return "utc_now()" if value == "now" else f'datetime.fromisoformat("{value}")'


def _time(_field: Field, value: str) -> str:
    return f'time.fromisoformat("{value}")'


def _uuid(_field: Field, value: str) -> str:
    return f'UUID("{value}")'


def _json(_field: Field, value: str) -> str:
    return repr(json.loads(value))


_DEFAULTS: dict[FieldKind, Callable[[Field, str], str]] = {
    FieldKind.DECIMAL: _decimal,
    FieldKind.DATE: _date,
    FieldKind.DATETIME: _datetime,
    FieldKind.TIME: _time,
    FieldKind.UUID: _uuid,
    FieldKind.REFERENCE: _uuid,
    FieldKind.JSON: _json,
    FieldKind.LIST: _json,
}
