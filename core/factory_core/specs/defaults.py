"""Defaults, read by the type of their field."""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from factory_core.contracts.blueprint import Field, FieldKind

from .notes import nearest, quote
from .scalars import LARGEST

__all__ = ["EMAIL", "BadDefault", "read_default"]

Default = str | int | float | bool | None
EMAIL = re.compile(r"[^\s@<>\"]+@[^\s@<>\"]+\.[^\s@<>\"]+")
URL = re.compile(r"https?://[^\s]+")
INTEGER = re.compile(r"[-+]?\d{1,19}")


class BadDefault(Exception):
    """A default that is no value of its field."""

    def __init__(self, message: str, suggestion: str = "") -> None:
        super().__init__(message)
        self.suggestion = suggestion


def read_default(field: Field, text: str) -> Default:
    """The default as the blueprint keeps it. Raises BadDefault."""
    if field.kind in (FieldKind.REFERENCE, FieldKind.MANY):
        raise BadDefault("A reference has no default: rows do not exist before the service runs.")
    if not text and field.kind is not FieldKind.TEXT:
        raise BadDefault("The default is missing.")
    try:
        return READERS[field.kind](field, text)
    except (ValueError, InvalidOperation, RecursionError):
        raise BadDefault(f"{quote(text)} is no {field.kind.value}.", EXAMPLES.get(field.kind, "")) from None


def unquoted(text: str) -> str:
    """The text without a pair of quotes around it."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def read_text(field: Field, text: str) -> str:
    """Any text of the allowed length, quotes around it left out."""
    text = unquoted(text)
    if len(text) < (field.minimum or 0) or len(text) > (field.maximum or len(text)):
        raise BadDefault(f"The default has {len(text)} characters, which the field does not allow.")
    return text


def read_int(field: Field, text: str) -> int:
    """A whole number in the field's range."""
    if not INTEGER.fullmatch(text):
        raise ValueError(text)
    number = int(text)
    low = field.minimum if field.minimum is not None else -LARGEST - 1
    high = field.maximum if field.maximum is not None else LARGEST
    if not low <= number <= high:
        raise BadDefault(f"{number} is not between {low} and {high}.")
    return number


def read_float(_field: Field, text: str) -> float:
    """A finite number."""
    number = float(text)
    if number != number or abs(number) == float("inf") or "_" in text:
        raise ValueError(text)
    return number


def read_decimal(field: Field, text: str) -> str:
    """A number that fits, with exactly the field's scale."""
    if not re.fullmatch(r"[-+]?\d{1,40}(\.\d{1,40})?", text):
        raise ValueError(text)
    number = Decimal(text)
    scale, precision = field.scale or 0, field.precision or 0
    _, digits, exponent = number.as_tuple()
    whole = len(digits) + int(exponent) if number else 0
    if -int(exponent) > scale or whole > precision - scale:
        raise BadDefault(f"{text} does not fit decimal({precision},{scale}).")
    return format(number, f".{scale}f")


def read_bool(_field: Field, text: str) -> bool:
    """``true`` or ``false``."""
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def read_date(_field: Field, text: str) -> str:
    """``today``, or a date."""
    return text if text == "today" else dt.date.fromisoformat(text).isoformat()


def read_datetime(_field: Field, text: str) -> str:
    """``now``, or a moment with its time zone, in UTC."""
    if text == "now":
        return text
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise BadDefault(f"{quote(text)} has no time zone.", "For example: 2026-01-31T09:00:00Z")
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def read_time(_field: Field, text: str) -> str:
    """A time of day."""
    return dt.time.fromisoformat(text).isoformat()


def read_uuid(_field: Field, text: str) -> str:
    """A UUID in its usual spelling."""
    return str(uuid.UUID(text))


def read_email(_field: Field, text: str) -> str:
    """Something with an @ and a domain."""
    if not EMAIL.fullmatch(text):
        raise ValueError(text)
    return text


def read_url(_field: Field, text: str) -> str:
    """An http address."""
    if not URL.fullmatch(text):
        raise ValueError(text)
    return text


def read_json(_field: Field, text: str) -> str:
    """JSON, in one spelling."""
    return json.dumps(json.loads(text), ensure_ascii=False, allow_nan=False)


def read_enum(field: Field, text: str) -> str:
    """One of the enum's words."""
    word = unquoted(text)
    if word not in field.values:
        known = ", ".join(field.values)
        raise BadDefault(f"{quote(word)} is not one of {known}.", nearest(word, field.values))
    return word


def read_list(field: Field, text: str) -> str:
    """A JSON list of the item's values."""
    values: object = json.loads(text)
    if not isinstance(values, list) or field.item is None:
        raise ValueError(text)
    for value in values:  # pyright: ignore[reportUnknownVariableType] - JSON is checked item by item
        spelled = value if isinstance(value, str) else json.dumps(value)
        read_default(field.item, spelled)
    return json.dumps(values, ensure_ascii=False, allow_nan=False)


READERS: dict[FieldKind, Callable[[Field, str], Default]] = {
    FieldKind.TEXT: read_text,
    FieldKind.INT: read_int,
    FieldKind.FLOAT: read_float,
    FieldKind.DECIMAL: read_decimal,
    FieldKind.BOOL: read_bool,
    FieldKind.DATE: read_date,
    FieldKind.DATETIME: read_datetime,
    FieldKind.TIME: read_time,
    FieldKind.UUID: read_uuid,
    FieldKind.EMAIL: read_email,
    FieldKind.URL: read_url,
    FieldKind.JSON: read_json,
    FieldKind.ENUM: read_enum,
    FieldKind.LIST: read_list,
}
EXAMPLES = {
    FieldKind.BOOL: "Write true or false.",
    FieldKind.DATE: "Write today, or a date such as 2026-01-31.",
    FieldKind.DATETIME: "Write now, or a moment such as 2026-01-31T09:00:00Z.",
    FieldKind.TIME: "Write a time such as 09:30.",
    FieldKind.JSON: 'Write JSON, such as {} or {"a": 1}.',
    FieldKind.LIST: 'Write a JSON list, such as [] or ["a"].',
    FieldKind.EMAIL: "Write an address such as someone@example.com.",
    FieldKind.URL: "Write an address that begins with https://.",
}
