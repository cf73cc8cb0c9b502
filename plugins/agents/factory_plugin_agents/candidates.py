"""Candidate values of fields: a few good ones to choose from, and those a field must refuse."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from factory_core.contracts.blueprint import Field, FieldKind, Rule
from factory_core.contracts.expressions import Binary, Expression, IsNull, Length, Literal, Membership, Not

from .code import python
from .kinds import quoted

__all__ = ["NOW", "candidates", "initial", "json_code", "literals_in", "wrong_values"]

NOW = datetime(2100, 1, 1, tzinfo=UTC)
"""Dates in tests lie so far before or after that it does not matter when they run."""

_SOME_ID = "00000000-0000-4000-8000-000000000000"
_PLAIN: dict[FieldKind, Sequence[Any]] = {
    FieldKind.FLOAT: (1.5, 2.5, 0.0, 100.0, -1.5),
    FieldKind.BOOL: (False, True),
    FieldKind.DATE: (
        date(2999, 1, 15),
        date(2999, 2, 15),
        date(2999, 3, 15),
        date(2001, 1, 15),
        date(2001, 2, 15),
    ),
    FieldKind.TIME: (time(10, 30), time(12, 30), time(14, 30)),
    FieldKind.UUID: (_SOME_ID.replace("0000-4", "0001-4"), _SOME_ID.replace("0000-4", "0002-4")),
    FieldKind.EMAIL: ("ann@example.com", "bea@example.com", "cleo@example.com"),
    FieldKind.URL: ("https://example.com/a", "https://example.com/b", "https://example.com/c"),
    FieldKind.JSON: ({"a": 1},),
    FieldKind.REFERENCE: (_SOME_ID,),
    FieldKind.MANY: ([],),
}


def literals_in(rules: Sequence[Rule]) -> tuple[Any, ...]:
    """The literals of the rules; values near them are worth trying."""
    return tuple(value for rule in rules for value in _literals(rule.check))


def _literals(expression: Expression) -> list[Any]:
    match expression:
        case Literal(value=value, decimal=decimal):
            return [Decimal(str(value)) if decimal else value]
        case Binary(left=left, right=right):
            return _literals(left) + _literals(right)
        case Membership(operand=operand, choices=choices):
            return _literals(operand) + [value for choice in choices for value in _literals(choice)]
        case Not(operand=operand) | IsNull(operand=operand):
            return _literals(operand)
        case Length(of=inner):
            return _literals(inner)
        case _:
            return []


def candidates(field: Field, literals: Sequence[Any]) -> list[Any]:
    """Good values of the field, likely ones first."""
    if field.kind is FieldKind.ENUM:
        return list(field.values)
    if field.kind is FieldKind.TEXT:
        return _texts(field, literals)
    if field.kind in {FieldKind.INT, FieldKind.DECIMAL}:
        return _numbers(field, literals)
    if field.kind is FieldKind.DATETIME:
        days: Sequence[date] = _PLAIN[FieldKind.DATE]
        return [datetime(day.year, day.month, day.day, 10, tzinfo=UTC) for day in days]
    if field.kind is FieldKind.LIST:
        return [candidates(field.item, ())[:2]] if field.item else [[]]
    near = [
        float(value) for value in literals if isinstance(value, int | Decimal) and not isinstance(value, bool)
    ]
    extra = [value + step for value in near for step in (0, 1, -1)] if field.kind is FieldKind.FLOAT else []
    return [*_PLAIN[field.kind], *extra]


def _texts(field: Field, literals: Sequence[Any]) -> list[str]:
    low, high = field.minimum or 0, field.maximum if field.maximum is not None else 10_000
    lengths = [value + step for value in literals if type(value) is int for step in (0, 1, -1)]
    words = [f"{word} {field.name}".replace("_", " ") for word in ("alpha", "beta", "gamma")]
    words += [value for value in literals if isinstance(value, str)]
    words += ["x" * length for length in lengths if 0 <= length <= min(high, 5_000)]
    fitted = [word[:high] if len(word) >= low else word.ljust(low, "x") for word in words]
    return list(dict.fromkeys(fitted))


def _numbers(field: Field, literals: Sequence[Any]) -> list[Any]:
    near = [value for value in literals if isinstance(value, int | Decimal) and not isinstance(value, bool)]
    tried: list[Any] = [1, 2, 3, 0, 10, 100, 1000, -1, -10]
    tried += [value + step for value in near for step in (0, 1, -1)]
    if field.kind is FieldKind.INT:
        low = field.minimum if field.minimum is not None else -(2**63)
        high = field.maximum if field.maximum is not None else 2**63 - 1
        tried += (
            [low, low + 1, low + 2, high]
            if field.minimum is not None
            else [high]
            if field.maximum is not None
            else []
        )
        whole = [int(value) for value in tried if value == int(value)]
        return [value for value in dict.fromkeys(whole) if low <= value <= high]
    unit = Decimal(1).scaleb(-(field.scale or 0))
    bound = Decimal(10) ** ((field.precision or 0) - (field.scale or 0))
    exact = [Decimal(value).quantize(unit) for value in tried if abs(value) < bound]
    smaller = [unit * step for step in (1, 2, 3)] if len(exact) < 3 else []
    return list(dict.fromkeys([*exact, *smaller]))


def initial(field: Field) -> Any:
    """The default as the value it stands for; None without one."""
    value = field.default
    if not field.has_default or value is None:
        return None
    if value in {"now", "today"} and field.kind in {FieldKind.DATE, FieldKind.DATETIME}:
        return NOW if value == "now" else NOW.date()
    readers: dict[FieldKind, Any] = {
        FieldKind.DECIMAL: Decimal,
        FieldKind.DATE: date.fromisoformat,
        FieldKind.DATETIME: datetime.fromisoformat,
        FieldKind.TIME: time.fromisoformat,
        FieldKind.JSON: _decode,
        FieldKind.LIST: _decode,
    }
    read = readers.get(field.kind)
    return read(value) if read else value


def _decode(text: Any) -> Any:
    return json.loads(text)


def json_code(field: Field, value: Any) -> str:
    """The value as it stands in JSON, in Python code."""
    if isinstance(value, Decimal):
        return f'"{value:.{field.scale or 0}f}"'
    if isinstance(value, datetime):
        return quoted(value.astimezone(UTC).isoformat().replace("+00:00", "Z"))
    if isinstance(value, date | time):
        return quoted(value.isoformat())
    if isinstance(value, list) and field.item is not None:
        return "[" + ", ".join(json_code(field.item, item) for item in value) + "]"  # type: ignore[reportUnknownVariableType] - JSON
    return python(value)


def wrong_values(field: Field, *, optional: bool) -> list[str]:
    """Values the field refuses, as code."""
    nothing = [] if optional or field.kind is FieldKind.JSON else ["None"]
    ranged = {FieldKind.TEXT: _wrong_texts, FieldKind.INT: _wrong_ints, FieldKind.DECIMAL: _wrong_decimals}
    if field.kind in ranged:
        return nothing + ranged[field.kind](field)
    return nothing + _WRONG.get(field.kind, [])


_WRONG = {
    FieldKind.FLOAT: ['"1.5"', "True"],
    FieldKind.BOOL: ['"yes"', "1"],
    FieldKind.DATE: ['"2030-02-30"', '"tomorrow"', "20300101"],
    FieldKind.DATETIME: ['"2030-01-01T10:00:00"', '"2030-01-01"', "1893456000"],
    FieldKind.TIME: ['"25:00"', '"10:00:00Z"', "10"],
    FieldKind.UUID: ['"no-uuid"', "1"],
    FieldKind.EMAIL: ['"nobody"', '"a@b"', "1"],
    FieldKind.URL: ['"example.com"', '"ftp://example.com"', "1"],
    FieldKind.ENUM: ['"no such word"', "1"],
    FieldKind.LIST: ['"text"', "{}"],
    FieldKind.REFERENCE: ['"no-uuid"', f'"{_SOME_ID}"', "1"],
    FieldKind.MANY: ['["no-uuid"]', f'["{_SOME_ID}"]', '"text"'],
}


def _wrong_texts(field: Field) -> list[str]:
    found = ["1", '"a\\x00b"']
    if field.minimum:
        found.append(quoted("x" * (field.minimum - 1)))
    if field.maximum is not None:
        found.append(f'"x" * {field.maximum + 1}')
    return found


def _wrong_ints(field: Field) -> list[str]:
    low = field.minimum if field.minimum is not None else -(2**63)
    high = field.maximum if field.maximum is not None else 2**63 - 1
    return ['"1"', "1.5", "True", str(low - 1), str(high + 1)]


def _wrong_decimals(field: Field) -> list[str]:
    whole = (field.precision or 0) - (field.scale or 0)
    return ['"abc"', '"NaN"', "True", f'"0.{"0" * (field.scale or 0)}1"', f'"1{"0" * whole}"']
