"""Whether an expression makes sense for a row: names exist, both sides of a comparison compare."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from factory_core.contracts.blueprint import Field, FieldKind, Secrecy
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

from .expressions import COMPARISONS, NotInLanguage
from .notes import nearest, quote

__all__ = ["Fields", "check_expression"]

KINDS = {
    FieldKind.INT: "number",
    FieldKind.FLOAT: "number",
    FieldKind.DECIMAL: "number",
    FieldKind.TEXT: "text",
    FieldKind.ENUM: "text",
    FieldKind.EMAIL: "text",
    FieldKind.URL: "text",
    FieldKind.UUID: "id",
    FieldKind.REFERENCE: "id",
    FieldKind.LIST: "list",
    FieldKind.MANY: "list",
}
"""What values of a field are to an expression; kinds that are missing here are called by their own name."""
BUILT_IN = {"id": "id", "created_at": "datetime", "updated_at": "datetime"}
ORDERED = frozenset({"number", "text", "date", "datetime", "time"})
ANY = "null"


Fields = Mapping[str, Mapping[str, Field]]
"""``entity -> field -> field`` of a whole blueprint."""


def check_expression(tree: Expression, entity: str, fields: Fields) -> Expression:
    """The tree with bare enum words resolved, if it is a condition on rows of ``entity``. Raises NotInLanguage."""
    typed = Typed(entity, fields)
    tree = typed.resolve(tree)
    if typed.type_of(tree) not in ("bool", ANY):
        raise NotInLanguage("it is a value, not a condition")
    return tree


class Typed:
    """Types expressions over the rows of one entity."""

    def __init__(self, entity: str, fields: Fields) -> None:
        self.entity = entity
        self.fields = fields
        self.readers: dict[type[Any], Callable[[Any], str]] = {
            Literal: literal_type,
            Name: self.name_type,
            Moment: lambda moment: "date" if moment.word == "today" else "datetime",
            Length: self.length_type,
            Not: self.not_type,
            IsNull: self.null_type,
            Membership: self.membership_type,
            Binary: self.binary_type,
        }

    def resolve(self, tree: Expression) -> Expression:
        """The same tree with ``status = done`` read as ``status = 'done'``."""
        if isinstance(tree, Binary):
            left, right = self.resolve(tree.left), self.resolve(tree.right)
            if tree.operator in COMPARISONS:
                left, right = self.word(left, right), self.word(right, left)
            return replace(tree, left=left, right=right)
        if isinstance(tree, Membership):
            operand = self.resolve(tree.operand)
            choices = tuple(self.word(self.resolve(choice), operand) for choice in tree.choices)
            return replace(tree, operand=operand, choices=choices)
        if isinstance(tree, Not | IsNull):
            return replace(tree, operand=self.resolve(tree.operand))
        return tree

    def word(self, tree: Expression, beside: Expression) -> Expression:
        """A bare word that is no field but one of the enum's words beside it, as text."""
        if not isinstance(tree, Name) or len(tree.parts) != 1 or not isinstance(beside, Name):
            return tree
        enum = self.find(beside.parts)
        if (
            tree.parts[0] not in self.fields[self.entity]
            and enum is not None
            and tree.parts[0] in enum.values
        ):
            return Literal(tree.parts[0])
        return tree

    def find(self, parts: tuple[str, ...]) -> Field | None:
        """The field a name means, None when it is unknown or built in."""
        first, *rest = parts
        field = self.fields[self.entity].get(first)
        if not rest or field is None:
            return field
        if len(rest) > 1 or field.kind is not FieldKind.REFERENCE or field.target is None:
            return None
        return self.fields[field.target].get(rest[0])

    def type_of(self, tree: Expression) -> str:
        """What kind of value a tree gives. Raises NotInLanguage."""
        return self.readers[type(tree)](tree)

    def name_type(self, name: Name) -> str:
        """The kind of a field's values."""
        field = self.find(name.parts)
        if field is not None:
            if field.secrecy is not Secrecy.NONE:
                raise NotInLanguage(f"{'.'.join(name.parts)} is secret")
            return KINDS.get(field.kind, field.kind.value)
        owner = self.find(name.parts[:-1]) if len(name.parts) == 2 else None
        known = len(name.parts) == 1 or (owner is not None and owner.kind is FieldKind.REFERENCE)
        if known and name.parts[-1] in BUILT_IN:
            return BUILT_IN[name.parts[-1]]
        fields = self.fields[self.entity]
        hint = nearest(name.parts[0], fields) if name.parts[0] not in fields else ""
        raise NotInLanguage(f"{quote('.'.join(name.parts))} is no field of {self.entity}. {hint}".strip())

    def length_type(self, tree: Length) -> str:
        """``len`` counts characters and items."""
        if self.type_of(tree.of) not in ("text", "list", ANY):
            raise NotInLanguage("len() counts text and lists")
        return "number"

    def not_type(self, tree: Not) -> str:
        """``not`` of a condition."""
        return self.condition(tree.operand)

    def null_type(self, tree: IsNull) -> str:
        """Anything may be null, but lists never are."""
        self.type_of(tree.operand)
        return "bool"

    def membership_type(self, tree: Membership) -> str:
        """Every choice compares with the operand."""
        for choice in tree.choices:
            self.comparable("=", tree.operand, choice)
        return "bool"

    def binary_type(self, tree: Binary) -> str:
        """Conditions join conditions, comparisons compare likes, arithmetic takes numbers."""
        if tree.operator in ("and", "or"):
            self.condition(tree.left)
            return self.condition(tree.right)
        if tree.operator in COMPARISONS:
            self.comparable(tree.operator, tree.left, tree.right)
            return "bool"
        for side in (tree.left, tree.right):
            if self.type_of(side) not in ("number", ANY):
                raise NotInLanguage(f"{tree.operator} takes numbers only")
        return "number"

    def condition(self, tree: Expression) -> str:
        """A tree that is true or false. Raises NotInLanguage."""
        if self.type_of(tree) not in ("bool", ANY):
            raise NotInLanguage("and, or and not join conditions")
        return "bool"

    def comparable(self, operator: str, left: Expression, right: Expression) -> None:
        """Raises NotInLanguage when two trees cannot be compared that way."""
        one, other = self.type_of(left), self.type_of(right)
        for tree, kind, beside in ((left, one, right), (right, other, left)):
            self.check_literal(tree, kind, beside)
        one, other = self.moment_type(left, one, other), self.moment_type(right, other, one)
        if ANY in (one, other):
            return
        if one != other:
            raise NotInLanguage(f"a {one} and a {other} do not compare")
        if operator not in ("=", "!=") and one not in ORDERED:
            raise NotInLanguage(f"a {one} has no order")
        if one in ("list", "json"):
            raise NotInLanguage(f"a {one} does not compare; len() may help")

    def check_literal(self, tree: Expression, kind: str, beside: Expression) -> None:
        """Raises NotInLanguage for text that is none of the enum's words beside it."""
        field = self.find(beside.parts) if isinstance(beside, Name) else None
        if (
            kind != "text"
            or not isinstance(tree, Literal)
            or field is None
            or field.kind is not FieldKind.ENUM
        ):
            return
        if tree.value not in field.values:
            word = str(tree.value)
            raise NotInLanguage(
                f"{quote(word)} is not a word of {field.name}. {nearest(word, field.values)}".strip()
            )

    def moment_type(self, tree: Expression, kind: str, beside: str) -> str:
        """Text beside a date counts as one when it is spelled like one."""
        if not isinstance(tree, Literal) or kind != "text":
            return kind
        readers: dict[str, Callable[[str], Any]] = {
            "date": dt.date.fromisoformat,
            "datetime": dt.datetime.fromisoformat,
            "time": dt.time.fromisoformat,
        }
        if beside not in readers:
            return kind
        try:
            readers[beside](str(tree.value))
        except ValueError:
            raise NotInLanguage(f"{quote(str(tree.value))} is no {beside}") from None
        return beside


def literal_type(tree: Literal) -> str:
    """The kind of a literal."""
    if tree.value is None:
        return ANY
    if isinstance(tree.value, bool):
        return "bool"
    return "text" if isinstance(tree.value, str) and not tree.decimal else "number"
