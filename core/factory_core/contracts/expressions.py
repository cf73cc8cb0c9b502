"""The small language of ``rules[].check`` as a tree of tagged Structs (spec_format, "Rules")."""

from __future__ import annotations

from msgspec import Struct

__all__ = [
    "Binary",
    "Expression",
    "IsNull",
    "Length",
    "Literal",
    "Membership",
    "Moment",
    "Name",
    "Not",
]


class Literal(Struct, frozen=True, tag="literal"):
    """A number, string, bool or null. Decimals are kept as text with ``decimal`` set."""

    value: str | int | float | bool | None
    decimal: bool = False


class Name(Struct, frozen=True, tag="name"):
    """A field of this row (``("estimate",)``) or of a direct reference (``("board", "archived")``)."""

    parts: tuple[str, ...]


class Moment(Struct, frozen=True, tag="moment"):
    """``today`` or ``now``."""

    word: str


class Length(Struct, frozen=True, tag="len"):
    """``len(x)`` of text or a list; null counts as null."""

    of: Expression


class Not(Struct, frozen=True, tag="not"):
    operand: Expression


class IsNull(Struct, frozen=True, tag="is_null"):
    """``x is null`` / ``x is not null``. Never unknown."""

    operand: Expression
    negated: bool = False


class Membership(Struct, frozen=True, tag="in"):
    """``x in (a, b)``."""

    operand: Expression
    choices: tuple[Expression, ...]
    negated: bool = False


class Binary(Struct, frozen=True, tag="binary"):
    """``and or = != < <= > >= + - * /``. A comparison with null passes."""

    operator: str
    left: Expression
    right: Expression


Expression = Literal | Name | Moment | Length | Not | IsNull | Membership | Binary
