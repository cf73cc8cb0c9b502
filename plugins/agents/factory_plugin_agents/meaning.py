"""What a rule means: an interpreter over plain values, used to find rows that keep and rows that break it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from factory_core.contracts.expressions import (
    Binary,
    Expression,
    IsNull,
    Length,
    Literal,
    Membership,
    Moment,
    Name,
    Not,
)

__all__ = ["meaning"]

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}


def meaning(expression: Expression, row: Mapping[tuple[str, ...], Any], now: datetime) -> Any:
    """The value over ``row`` (``parts of a name -> value``); None is unknown. Raises TypeError on mixed kinds."""
    match expression:
        case Literal(value=value, decimal=decimal):
            return Decimal(str(value)) if decimal or isinstance(value, float) else value
        case Name(parts=parts):
            value = row.get(parts)
            return Decimal(str(value)) if isinstance(value, float) else value
        case Moment(word=word):
            return now.date() if word == "today" else now
        case Length(of=inner):
            value = meaning(inner, row, now)
            return None if value is None else len(value)
        case Not(operand=operand):
            value = meaning(operand, row, now)
            return None if value is None else not value
        case IsNull(operand=operand, negated=negated):
            return (meaning(operand, row, now) is None) != negated
        case Membership():
            return _membership(expression, row, now)
        case Binary():
            return _binary(expression, row, now)


def _membership(expression: Membership, row: Mapping[tuple[str, ...], Any], now: datetime) -> bool | None:
    found: Any = False
    for choice in expression.choices:
        equal = meaning(Binary("=", expression.operand, choice), row, now)
        found = _either(found, equal)
    return None if found is None else found != expression.negated


def _either(left: Any, right: Any) -> Any:
    if left is True or right is True:
        return True
    return None if left is None or right is None else False


def _binary(expression: Binary, row: Mapping[tuple[str, ...], Any], now: datetime) -> Any:
    left, right = meaning(expression.left, row, now), meaning(expression.right, row, now)
    if expression.operator == "or":
        return _either(left, right)
    if expression.operator == "and":
        if left is False or right is False:
            return False
        return None if left is None or right is None else True
    if left is None or right is None:
        return None
    if expression.operator in _COMPARISONS:
        left, right = _comparable(left, right), _comparable(right, left)
        return _COMPARISONS[expression.operator](left, right)
    if expression.operator == "/":
        return None if right == 0 else Decimal(left) / right
    return _ARITHMETIC[expression.operator](left, right)


def _comparable(value: Any, other: Any) -> Any:
    if isinstance(value, datetime) and isinstance(other, date) and not isinstance(other, datetime):
        return value.date()
    if isinstance(value, str) and isinstance(other, date):
        return type(other).fromisoformat(value)
    return value
