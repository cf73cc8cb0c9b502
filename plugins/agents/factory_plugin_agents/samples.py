"""Values for tests: bodies that keep every rule, bodies that break one, and values that no field takes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product
from typing import Any

from msgspec import Struct

from factory_core.contracts.blueprint import Blueprint, Entity, Field, FieldKind, Rule

from .candidates import NOW, candidates, initial, json_code, literals_in, wrong_values
from .context import EntityView, FieldView
from .meaning import meaning
from .rules import names_in

__all__ = ["Samples", "Violation", "Wrong", "samples_of"]

_MOST_TRIES = 20_000
_UNIQUE_CODE = {
    FieldKind.INT: "next(numbers)",
    FieldKind.UUID: "str(uuid4())",
    FieldKind.EMAIL: 'f"ann{next(numbers)}@example.com"',
    FieldKind.URL: 'f"https://example.com/{next(numbers)}"',
    FieldKind.DATE: "str(date(2990, 1, 1) + timedelta(days=next(numbers)))",
}

Row = dict[str, Any]


class Wrong(Struct, frozen=True, kw_only=True):
    """A value that its field refuses."""

    field: str
    code: str


class Violation(Struct, frozen=True, kw_only=True):
    """Changes to a good body that break one rule."""

    changes: tuple[tuple[str, str], ...]
    field: str
    message: str


class Pair(Struct, frozen=True, kw_only=True):
    """Two values of one field, the smaller first."""

    field: str
    low: str
    high: str


class Samples(Struct, frozen=True, kw_only=True):
    """What the tests of one entity send and expect; every value is Python code."""

    minimal: tuple[tuple[str, str], ...]
    full: tuple[tuple[str, str], ...]
    defaults: tuple[tuple[str, str], ...]
    wrong: tuple[Wrong, ...]
    pairs: tuple[Pair, ...]
    changes: tuple[tuple[str, str], ...]
    required: tuple[str, ...]
    clearable: tuple[str, ...]
    violations: tuple[Violation, ...]
    makeable: bool
    """Whether a row can be made at all: a required reference to itself has no beginning."""


def samples_of(blueprint: Blueprint, view: EntityView) -> Samples:
    """Work out the samples of one entity. Equal blueprints give equal samples."""
    rules = tuple(rule for rule in blueprint.rules if rule.entity == view.name)
    study = _Study(blueprint, view, rules)
    base, full = study.solve(full=False), study.solve(full=True)
    scalars = [field for field in view.writable if not (field.many or field.reference)]
    moving = {machine.machine.field for machine in view.machines}
    pairs = tuple(
        pair for field in scalars if field.name not in moving and (pair := study.pair(field, base))
    )
    return Samples(
        minimal=tuple(
            (field.name, study.code(field, base.get(field.name)))
            for field in view.writable
            if _needed(field) or (base.get(field.name) != _default(field.field))
        ),
        full=tuple(
            (field.name, study.code(field, full.get(field.name))) for field in view.writable if not field.many
        ),
        defaults=tuple(
            (field.name, _default_code(field))
            for field in view.shown
            if not _needed(field) and not field.dynamic and base.get(field.name) == _default(field.field)
        ),
        wrong=tuple(
            Wrong(field=field.name, code=code)
            for field in view.writable
            for code in wrong_values(field.field, optional=field.optional)
        ),
        pairs=tuple(pair for pair in pairs if view.field(pair.field).shown and pair.low != pair.high),
        changes=tuple((pair.field, pair.high) for pair in pairs),
        required=tuple(field.name for field in view.writable if _needed(field)),
        clearable=tuple(
            field.name
            for field in view.writable
            if field.optional and field.name not in moving and study.holds(base | {field.name: None})
        ),
        violations=tuple(found for rule in rules if (found := study.violation(rule, base))),
        makeable=not any(field.field.target == view.name and field.reference for field in view.writable if _needed(field)),
    )


def _needed(field: FieldView) -> bool:
    return not (field.optional or field.field.has_default or field.many or field.kind == "list" or field.field.readonly)


def _default(field: Field) -> Any:
    if field.kind in {FieldKind.MANY, FieldKind.LIST} and not field.has_default:
        return []
    return initial(field)


def _default_code(field: FieldView) -> str:
    return json_code(field.field, _default(field.field))


class _Study:
    """The search for values of one entity."""

    def __init__(self, blueprint: Blueprint, view: EntityView, rules: tuple[Rule, ...]) -> None:
        self.blueprint = blueprint
        self.view = view
        self.rules = rules
        self.fixed = {machine.machine.field for machine in view.machines}
        self.unique = _unique_fields(view.entity)

    def code(self, field: FieldView, value: Any) -> str:
        """The value as code; references are made, unique values counted."""
        if field.reference and value is not None:
            return f'make_{field.target_module}(api)["id"]'
        if value is not None and field.name in self.unique and not self._ruled(field.name):
            return _UNIQUE_CODE.get(field.field.kind) or self._counted(field, value)
        return json_code(field.field, value)

    def _counted(self, field: FieldView, value: Any) -> str:
        if field.field.kind is not FieldKind.TEXT:
            return json_code(field.field, value)
        stem = str(value)[: max((field.field.maximum or 99) - 6, 0)]
        return f'f"{stem}{{next(numbers)}}"'

    def _ruled(self, name: str) -> bool:
        return any((name,) in names_in(rule.check) for rule in self.rules)

    def holds(self, row: Row, *, but: Rule | None = None) -> bool:
        """Whether the row breaks no rule, ``but`` aside."""
        return all(self.verdict(rule, row) is not False for rule in self.rules if rule is not but)

    def verdict(self, rule: Rule, row: Row) -> Any:
        """What the rule says of the row: true, false or unknown."""
        values = {(name,): value for name, value in row.items()}
        for name in names_in(rule.check):
            if len(name) == 2:
                target = self.blueprint.entity(self.view.entity.field(name[0]).target or "")
                values[name] = _plain_row(target).get(name[1]) if row.get(name[0]) is not None else None
        try:
            return meaning(rule.check, values, NOW)
        except TypeError:
            return None

    def solve(self, *, full: bool) -> Row:
        """A row that keeps every rule: the smallest one, or one with a value for everything."""
        row = {field.name: self._options(field, full=full)[0] for field in self.view.fields}
        ruled = [field for field in self.view.writable if self._ruled(field.name)]
        for chosen in self._choices(ruled, full=full):
            if self.holds(row | chosen):
                return row | chosen
        return row

    def violation(self, rule: Rule, base: Row) -> Violation | None:
        """The base changed so that it breaks this rule and no other."""
        named = {name[0] for name in names_in(rule.check) if len(name) == 1}
        fields = [
            field
            for field in self.view.writable
            if field.name in named and not (field.reference or field.many or field.name in self.fixed)
        ]
        for chosen in self._choices(fields, full=False):
            row = base | chosen
            if self.verdict(rule, row) is False and self.holds(row, but=rule):
                changes = {name: value for name, value in chosen.items() if value != base[name]}
                return Violation(
                    changes=tuple(
                        (name, json_code(self.view.entity.field(name), value)) for name, value in changes.items()
                    ),
                    field=next(iter(names_in(rule.check)), ("",))[0],
                    message=rule.message or f"This must hold: {rule.text}",
                )
        return None

    def pair(self, field: FieldView, base: Row) -> Pair | None:
        """Two values that the rest of the base allows."""
        if field.kind in {"json", "list"}:
            return None
        fit = [
            value
            for value in candidates(field.field, literals_in(self.rules))
            if self.holds(base | {field.name: value})
        ]
        distinct = sorted(set(fit))
        if len(distinct) < 2:
            return None
        low, high = distinct[0], distinct[1]
        if base.get(field.name) == high:
            low, high = (low, distinct[2]) if len(distinct) > 2 else (low, high)
        return Pair(field=field.name, low=json_code(field.field, low), high=json_code(field.field, high))

    def _choices(self, fields: list[FieldView], *, full: bool) -> Iterator[Row]:
        options = [self._options(field, full=full) for field in fields]
        names = [field.name for field in fields]
        return (dict(zip(names, values, strict=True)) for values in islice(product(*options), _MOST_TRIES))

    def _options(self, field: FieldView, *, full: bool) -> list[Any]:
        known = field.field
        if field.name in self.fixed or not field.writable:
            return [_default(known)]
        found: list[Any] = list(candidates(known, literals_in(self.rules)))
        if full and not field.many:
            return found
        if known.has_default:
            return [_default(known), *found]
        if field.many or field.kind == "list":
            return [[], *found]
        return [None, *found] if field.optional else found


def _plain_row(entity: Entity) -> Row:
    """What a referenced row looks like when its test made it."""
    return {
        field.name: initial(field) if field.has_default or field.optional else next(iter(candidates(field, ())), None)
        for field in entity.fields
    }


def _unique_fields(entity: Entity) -> frozenset[str]:
    """Fields whose test values must differ from row to row."""
    found = {field.name for field in entity.fields if field.unique}
    for names in entity.unique_together:
        fields = [entity.field(name) for name in names]
        if not any(field.kind is FieldKind.REFERENCE or field.name in found for field in fields):
            found |= {field.name for field in fields if field.kind in {FieldKind.TEXT, *_UNIQUE_CODE}}
    return frozenset(found)


