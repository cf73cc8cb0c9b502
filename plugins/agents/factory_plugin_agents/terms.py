"""The values inside a rule as Python code: fields, literals and arithmetic, each with what must be known first."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from factory_core.contracts.blueprint import Blueprint, Entity, Field, FieldKind
from factory_core.contracts.expressions import Binary, Expression, Length, Literal, Moment, Name

from . import kinds, naming

__all__ = ["Condition", "Scope", "Term", "Uncompilable", "all_of", "any_of", "comparable", "term", "write"]

_ARITHMETIC = frozenset("+-*/")
_NUMBERS = frozenset({"int", "float", "decimal"})
_MOMENTS = frozenset({"date", "datetime", "time", "uuid"})
_KINDS = {
    FieldKind.EMAIL: "text",
    FieldKind.URL: "text",
    FieldKind.ENUM: "text",
    FieldKind.REFERENCE: "uuid",
    FieldKind.MANY: "list",
}


class Uncompilable(Exception):
    """The expression mixes what cannot be mixed."""


@dataclass(frozen=True)
class Both:
    """Conditions joined by one word."""

    word: str
    parts: tuple[Condition, ...]


Condition = bool | str | Both


@dataclass(frozen=True)
class Term:
    """A value: its code, its kind, and the conditions under which it exists."""

    code: str
    kind: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Loaded:
    """A referenced row in a local variable."""

    variable: str
    field: Field
    target: Entity
    class_name: str
    module: str


@dataclass
class Scope:
    """Where names are looked up."""

    blueprint: Blueprint
    entity: Entity
    variable: str
    loads: dict[str, Loaded] = field(default_factory=dict[str, Loaded])

    def attr(self, entity: Entity, name: str) -> str:
        """The attribute of a field."""
        names = [item.name for item in entity.fields]
        return naming.unique(naming.attribute(item) for item in names)[names.index(name)]

    def load(self, reference: Field) -> Loaded:
        """The row that a reference names."""
        if reference.kind is not FieldKind.REFERENCE or reference.target is None:
            raise Uncompilable(reference.name)
        if reference.name not in self.loads:
            names = [entity.name for entity in self.blueprint.entities]
            index = names.index(reference.target)
            variable = naming.module(reference.name.removesuffix("_id"))
            self.loads[reference.name] = Loaded(
                variable=f"{variable}_" if variable == self.variable else variable,
                field=reference,
                target=self.blueprint.entities[index],
                class_name=naming.unique(naming.class_name(name) for name in names)[index],
                module=naming.unique(naming.module(name) for name in names)[index],
            )
        return self.loads[reference.name]


def term(expression: Expression, scope: Scope) -> Term:
    """The expression as a value. Raises Uncompilable."""
    match expression:
        case Literal():
            return _literal(expression)
        case Name(parts=(name,)):
            return _field(scope.entity, name, scope.variable, scope)
        case Name(parts=(reference, name)):
            loaded = scope.load(_find(scope.entity, reference))
            value = _field(loaded.target, name, loaded.variable, scope)
            known = (f"{loaded.variable} is not None",) if loaded.field.optional else ()
            return Term(value.code, value.kind, (*known, *value.needs))
        case Moment(word=word):
            return Term("today()", "date") if word == "today" else Term("utc_now()", "datetime")
        case Length(of=inner):
            value = term(inner, scope)
            if value.kind not in {"text", "list"}:
                raise Uncompilable(value.code)
            return Term(f"len({value.code})", "int", value.needs)
        case Binary(operator=operator, left=left, right=right) if operator in _ARITHMETIC:
            return _calculate(operator, term(left, scope), term(right, scope))
        case _:
            raise Uncompilable(str(expression))


def _literal(literal: Literal) -> Term:
    match literal.value:
        case None:
            return Term("None", "null")
        case bool(value):
            return Term(str(value), "bool")
        case int(value) if not literal.decimal:
            return Term(str(value), "int")
        case str(value) if not literal.decimal:
            return Term(kinds.quoted(value), "text")
        case value:
            return Term(f'Decimal("{Decimal(str(value))}")', "decimal")


def _find(entity: Entity, name: str) -> Field:
    try:
        return entity.field(name)
    except KeyError as error:
        raise Uncompilable(name) from error


def _field(entity: Entity, name: str, variable: str, scope: Scope) -> Term:
    if name in {"id", "created_at", "updated_at"}:
        kind = "uuid" if name == "id" else "datetime"
        code = f"{variable}.{name}"
        return Term(code, kind, (f"{code} is not None",) if variable == scope.variable else ())
    found = _find(entity, name)
    code = f"{variable}.{scope.attr(entity, name)}"
    needs = (f"{code} is not None",) if kinds.effective_optional(found) else ()
    return Term(code, _KINDS.get(found.kind, found.kind.value), needs)


def _calculate(operator: str, left: Term, right: Term) -> Term:
    if "null" in {left.kind, right.kind}:
        return Term("None", "null")
    if not {left.kind, right.kind} <= _NUMBERS:
        raise Uncompilable(f"{left.code} {operator} {right.code}")
    left, right = _exact(left), _exact(right)
    needs = (*left.needs, *right.needs)
    if operator == "/":
        if left.kind == "int":
            left = Term(f"Decimal({left.code})", "decimal", left.needs)
        if not right.code.isdigit() or int(right.code) == 0:
            needs = (*needs, f"{right.code} != 0")
    kind = "int" if {left.kind, right.kind} == {"int"} else "decimal"
    return Term(f"({left.code} {operator} {right.code})", kind, needs)


def _exact(value: Term) -> Term:
    """Floats are taken at their shortest decimal spelling, so that 0.1 means 0.1."""
    return Term(f"Decimal(str({value.code}))", "decimal", value.needs) if value.kind == "float" else value


def comparable(left: Term, right: Term) -> tuple[Term, Term]:
    """Both terms in kinds that Python compares. Raises Uncompilable."""
    left, right = _exact(left), _exact(right)
    left, right = _as_kind(left, right.kind), _as_kind(right, left.kind)
    same = left.kind == right.kind or {left.kind, right.kind} <= _NUMBERS or "null" in {left.kind, right.kind}
    if not same:
        raise Uncompilable(f"{left.code} and {right.code}")
    return left, right


def _as_kind(value: Term, other: str) -> Term:
    if value.kind == "datetime" and other == "date":
        return Term(f"{value.code}.date()", "date", value.needs)
    if value.kind == "text" and value.code.startswith('"') and other in _MOMENTS:
        code = f"UUID({value.code})" if other == "uuid" else f"{other}.fromisoformat({value.code})"
        return Term(code, other)
    return value


def all_of(*conditions: Condition) -> Condition:
    """The conjunction."""
    return _join("and", conditions, neutral=True)


def any_of(*conditions: Condition) -> Condition:
    """The disjunction."""
    return _join("or", conditions, neutral=False)


def _join(word: str, conditions: tuple[Condition, ...], *, neutral: bool) -> Condition:
    parts: list[Condition] = []
    for condition in conditions:
        if condition is (not neutral):
            return not neutral
        inner = condition.parts if isinstance(condition, Both) and condition.word == word else (condition,)
        parts += [part for part in inner if part is not neutral and part not in parts]
    if not parts:
        return neutral
    if word == "and":
        facts = frozenset(part for part in parts if isinstance(part, str))
        told = tuple(_given(facts, part) if isinstance(part, Both) else part for part in parts)
        if told != tuple(parts):  # facts go first, since what follows now relies on them
            plain = [part for part in told if isinstance(part, str)]
            return _join(word, (*plain, *(part for part in told if part not in plain)), neutral=neutral)
    return parts[0] if len(parts) == 1 else Both(word, tuple(parts))


def _given(facts: frozenset[str], condition: Condition) -> Condition:
    """What is left to ask when the facts hold."""
    if isinstance(condition, Both):
        join = all_of if condition.word == "and" else any_of
        return join(*(_given(facts, part) for part in condition.parts))
    return True if condition in facts else condition


def write(condition: Condition) -> str:
    """The condition as one Python expression."""
    if isinstance(condition, Both):
        return f" {condition.word} ".join(
            f"({write(part)})" if isinstance(part, Both) else str(part) for part in condition.parts
        )
    return str(condition)
