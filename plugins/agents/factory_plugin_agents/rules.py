"""Rules as code: an expression becomes the Python condition under which it is broken.

SQL's logic holds: a comparison with null is neither true nor false, and only what is false breaks a rule. So each
expression is written twice, as what makes it true and as what makes it false, and ``not`` swaps the two.
"""

from __future__ import annotations

from msgspec import Struct

from factory_core.contracts.blueprint import Blueprint, Entity
from factory_core.contracts.expressions import Binary, Expression, IsNull, Membership, Name, Not

from .terms import Condition, Scope, Term, Uncompilable, all_of, any_of, comparable, term, write

__all__ = ["BrokenWhen", "Load", "RuleCode", "names_in", "rule_code"]

_INVERSE = {"=": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_PYTHON = {"=": "=="}


class BrokenWhen(Struct, frozen=True, kw_only=True):
    """One rule: the condition that breaks it, and what is then answered."""

    condition: str
    field: str
    message: str
    text: str


class Load(Struct, frozen=True, kw_only=True):
    """A referenced row that rules look into."""

    variable: str
    attr: str
    class_name: str
    module: str
    optional: bool


class RuleCode(Struct, frozen=True, kw_only=True):
    """The rules of one entity."""

    broken: tuple[BrokenWhen, ...] = ()
    loads: tuple[Load, ...] = ()
    refused: tuple[str, ...] = ()
    """Texts of rules that could not be compiled."""


def rule_code(blueprint: Blueprint, entity: Entity, variable: str) -> RuleCode:
    """Compile the entity's rules. ``variable`` is the row's name in the code."""
    scope = Scope(blueprint, entity, variable)
    broken: list[BrokenWhen] = []
    refused: list[str] = []
    for rule in blueprint.rules:
        if rule.entity != entity.name:
            continue
        try:
            condition = write(_split(rule.check, scope)[1])
        except Uncompilable:
            refused.append(rule.text)
            continue
        broken.append(
            BrokenWhen(
                condition=condition,
                field=next(iter(names_in(rule.check)), ("",))[0],
                message=rule.message or f"This must hold: {rule.text}",
                text=rule.text,
            )
        )
    loads = tuple(
        Load(
            variable=found.variable,
            attr=scope.attr(entity, found.field.name),
            class_name=found.class_name,
            module=found.module,
            optional=found.field.optional,
        )
        for found in scope.loads.values()
    )
    return RuleCode(broken=tuple(broken), loads=loads, refused=tuple(refused))


def names_in(expression: Expression) -> list[tuple[str, ...]]:
    """The fields an expression reads, in order of appearance."""
    match expression:
        case Name(parts=parts):
            return [parts]
        case Binary(left=left, right=right):
            return names_in(left) + names_in(right)
        case Membership(operand=operand, choices=choices):
            return names_in(operand) + [name for choice in choices for name in names_in(choice)]
        case Not(operand=operand) | IsNull(operand=operand):
            return names_in(operand)
        case _:
            inner = getattr(expression, "of", None)
            return names_in(inner) if inner is not None else []


def _split(expression: Expression, scope: Scope) -> tuple[Condition, Condition]:
    """When the expression is true, and when it is false."""
    match expression:
        case Not(operand=operand):
            true, false = _split(operand, scope)
            return false, true
        case Binary(operator="and" | "or" as operator, left=left, right=right):
            left_true, left_false = _split(left, scope)
            right_true, right_false = _split(right, scope)
            if operator == "and":
                return all_of(left_true, right_true), any_of(left_false, right_false)
            return any_of(left_true, right_true), all_of(left_false, right_false)
        case Binary(operator=operator) if operator in _INVERSE:
            return _compare(expression, scope)
        case IsNull():
            return _is_null(expression, scope)
        case Membership():
            return _membership(expression, scope)
        case _:
            return _truth(term(expression, scope))


def _compare(expression: Binary, scope: Scope) -> tuple[Condition, Condition]:
    left, right = comparable(term(expression.left, scope), term(expression.right, scope))
    if "null" in {left.kind, right.kind}:
        return False, False
    if right.kind == "bool" and right.code in {"True", "False"} and left.kind == "bool":
        return _is_bool(left, right.code == "True", expression.operator)
    operator = _PYTHON.get(expression.operator, expression.operator)
    needs = (*left.needs, *right.needs)
    return (
        all_of(*needs, f"{left.code} {operator} {right.code}"),
        all_of(*needs, f"{left.code} {_INVERSE[expression.operator]} {right.code}"),
    )


def _is_bool(value: Term, wanted: bool, operator: str) -> tuple[Condition, Condition]:
    """``x = true`` is ``x``."""
    true, false = _truth(value)
    return (true, false) if wanted is (operator == "=") else (false, true)


def _is_null(expression: IsNull, scope: Scope) -> tuple[Condition, Condition]:
    operand = term(expression.operand, scope)
    known = False if operand.kind == "null" else all_of(*operand.needs)
    unknown = True if operand.kind == "null" else any_of(*(_negate(need) for need in operand.needs))
    return (known, unknown) if expression.negated else (unknown, known)


def _negate(need: str) -> str:
    return need.replace(" is not None", " is None") if need.endswith(" is not None") else f"not ({need})"


def _membership(expression: Membership, scope: Scope) -> tuple[Condition, Condition]:
    """``x in (a, b)`` is ``x = a or x = b``, written as one test where nothing can be null."""
    operand = term(expression.operand, scope)
    pairs = [comparable(operand, term(choice, scope)) for choice in expression.choices]
    plain = all(right.kind != "null" and not right.needs and left == operand for left, right in pairs)
    if plain and operand.kind != "null":
        choices = ", ".join(right.code for _, right in pairs)
        choices = f"({choices},)" if len(pairs) == 1 else f"({choices})"
        inside = all_of(*operand.needs, f"{operand.code} in {choices}")
        outside = all_of(*operand.needs, f"{operand.code} not in {choices}")
    else:
        parts = [_compare(Binary("=", expression.operand, choice), scope) for choice in expression.choices]
        inside = any_of(*(true for true, _ in parts))
        outside = all_of(*(false for _, false in parts))
    return (outside, inside) if expression.negated else (inside, outside)


def _truth(value: Term) -> tuple[Condition, Condition]:
    """A bool standing alone."""
    if value.kind == "null":
        return False, False
    if value.kind != "bool":
        raise Uncompilable(value.code)
    if value.code in {"True", "False"}:
        return value.code == "True", value.code == "False"
    return all_of(*value.needs, value.code), all_of(*value.needs, f"not {value.code}")
