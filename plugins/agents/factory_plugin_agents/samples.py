"""Values for tests: bodies that keep every rule, bodies that break one, and values that no field takes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product
from typing import Any

from msgspec import Struct

from factory_core.contracts.blueprint import Blueprint, Entity, Field, FieldKind, Rule

from .candidates import NOW, candidates, initial, json_code, literals_in, wrong_values
from .code import python
from .context import EntityView, FieldView
from .meaning import meaning
from .rules import names_in

__all__ = ["Row", "Samples", "Study", "Violation", "Wrong", "samples_of"]

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
    companions: dict[str, tuple[tuple[str, str], ...]]
    """``reference -> other keys a body needs when it has the reference``, for the sake of rules."""
    targets: dict[str, str]
    """``reference -> changes that make its target fit the rules``."""
    makeable: bool
    """Whether a row can be made at all: a required reference to itself has no beginning."""


def samples_of(blueprint: Blueprint, view: EntityView) -> Samples:
    """Work out the samples of one entity. Equal blueprints give equal samples."""
    study = Study(blueprint, view)
    base, full = study.solve(full=False), study.solve(full=True)
    scalars = [field for field in view.writable if not (field.many or field.reference)]
    moving = {machine.machine.field for machine in view.machines}
    pairs = tuple(pair for field in scalars if field.name not in moving and (pair := study.pair(field, base)))
    return Samples(
        minimal=tuple(
            (field.name, study.code(field, base))
            for field in view.writable
            if _needed(field) or base.get(field.name) != _default(field.field)
        ),
        companions={
            field.name: _companions(study, field, base) for field in view.writable if field.target_class
        },
        targets={
            field.name: study.target_changes(field.name, study.solve(given=field.name))
            for field in view.writable
            if field.reference
        },
        full=tuple((field.name, study.code(field, full)) for field in view.writable if not field.many),
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
        violations=tuple(found for rule in study.rules if (found := study.violation(rule, base))),
        makeable=not any(
            field.field.target == view.name and field.reference for field in view.writable if _needed(field)
        ),
    )


def _companions(study: Study, field: FieldView, base: Row) -> tuple[tuple[str, str], ...]:
    row = study.solve(given=field.name)
    return tuple(
        (other.name, study.code(other, row))
        for other in study.view.writable
        if other.name != field.name and row.get(other.name) != base.get(other.name)
    )


def _needed(field: FieldView) -> bool:
    return not (
        field.optional
        or field.field.has_default
        or field.many
        or field.kind == "list"
        or field.field.readonly
    )


def _default(field: Field) -> Any:
    if field.kind in {FieldKind.MANY, FieldKind.LIST} and not field.has_default:
        return []
    return initial(field)


def _default_code(field: FieldView) -> str:
    return json_code(field.field, _default(field.field))


class Study:
    """The search for values of one entity. A row maps field names, and ``reference.field`` of rules, to values."""

    def __init__(self, blueprint: Blueprint, view: EntityView) -> None:
        self.blueprint = blueprint
        self.entity = view.entity
        self.view = view
        self.rules = rules_of(blueprint, view.name)
        self.fixed = {machine.machine.field for machine in view.machines}
        self.unique = _unique_fields(view.entity)
        self.named = dict.fromkeys(name for rule in self.rules for name in names_in(rule.check))

    def code(self, field: FieldView, row: Row) -> str:
        """The field's value in the row as code; references are made, unique values counted."""
        value = row.get(field.name)
        if field.reference and value is not None:
            changes = self.target_changes(field.name, row)
            return f'make_{field.target_module}(api{", " + changes if changes else ""})["id"]'
        if value is not None and field.name in self.unique and self._free(field, row):
            return _UNIQUE_CODE.get(field.field.kind) or self._counted(field, value)
        return json_code(field.field, value)

    def _counted(self, field: FieldView, value: Any) -> str:
        if field.field.kind is not FieldKind.TEXT:
            return json_code(field.field, value)
        return f'f"{_stem(field.field, value)}{{next(numbers)}}"'

    def _free(self, field: FieldView, row: Row) -> bool:
        """Whether a counted value says the same to every rule as the one in the row."""
        if (field.name,) not in self.named:
            return True
        if field.field.kind is not FieldKind.TEXT:
            return False
        stem = _stem(field.field, row[field.name])
        return all(
            self.verdict(rule, row | {field.name: f"{stem}{number}"}) is self.verdict(rule, row)
            for rule in self.rules
            for number in (1, 999_999)
        )

    def target_changes(self, reference: str, row: Row) -> str:
        """What the referenced row must have beside its smallest body, as code."""
        target = self.target(reference)
        plain = _plain_row(target)
        pairs = [
            f"{python(name[1])}: {json_code(target.field(name[1]), row[key])}"
            for name in self.named
            if len(name) == 2
            and name[0] == reference
            and (key := ".".join(name)) in row
            and row[key] != plain.get(name[1])
        ]
        return "{" + ", ".join(pairs) + "}" if pairs else ""

    def target(self, reference: str) -> Entity:
        """The entity that a reference points at."""
        return self.blueprint.entity(self.entity.field(reference).target or "")

    def holds(self, row: Row, *, but: Rule | None = None) -> bool:
        """Whether the row breaks no rule, ``but`` aside."""
        return all(self.verdict(rule, row) is not False for rule in self.rules if rule is not but)

    def verdict(self, rule: Rule, row: Row) -> Any:
        """What the rule says of the row: true, false or unknown."""
        values = {
            name: row.get(".".join(name)) if len(name) == 1 or row.get(name[0]) is not None else None
            for name in names_in(rule.check)
        }
        try:
            return meaning(rule.check, values, NOW)
        except TypeError:
            return None

    def solve(self, *, full: bool = False, given: str = "") -> Row:
        """A row that keeps every rule: the smallest one, one with a value for everything, or one where ``given`` has
        a value."""
        plain = {
            field.name: self._options(field, full=full or field.name == given)[0]
            for field in self.view.fields
        }
        for name in self.named:
            if len(name) == 2:
                plain[".".join(name)] = _plain_row(self.target(name[0])).get(name[1])
        for chosen in self._choices(list(self.named), full=full, given=given):
            if self.holds(plain | chosen):
                return plain | chosen
        return plain

    def violation(self, rule: Rule, base: Row) -> Violation | None:
        """The base changed so that it breaks this rule and no other."""
        for chosen in self._choices(list(dict.fromkeys(names_in(rule.check)))):
            row = base | chosen
            if self.verdict(rule, row) is not False or not self.holds(row, but=rule):
                continue
            changed = dict.fromkeys(
                name.split(".")[0] for name, value in chosen.items() if value != base.get(name)
            )
            return Violation(
                changes=tuple((name, self.code(self.view.field(name), row)) for name in changed),
                field=next(iter(names_in(rule.check)), ("",))[0],
                message=rule.message or f"This must hold: {rule.text}",
            )
        return None

    def pair(self, field: FieldView, base: Row) -> Pair | None:
        """Two values that the rest of the base allows."""
        if field.kind in {"json", "list"}:
            return None
        fit = {
            value
            for value in candidates(field.field, literals_in(self.rules))
            if self.holds(base | {field.name: value})
        }
        low, *higher = [*sorted(fit), None, None]
        high = next((value for value in higher if value != base.get(field.name)), None)
        if low is None or high is None:
            return None
        return Pair(field=field.name, low=json_code(field.field, low), high=json_code(field.field, high))

    def _choices(self, names: list[tuple[str, ...]], *, full: bool = False, given: str = "") -> Iterator[Row]:
        keys = [".".join(name) for name in names]
        options = [self._options_of(name, full=full or name == (given,)) for name in names]
        found = islice(product(*options), _MOST_TRIES)
        return (dict(zip(keys, values, strict=True)) for values in found)

    def _options_of(self, name: tuple[str, ...], *, full: bool) -> list[Any]:
        if len(name) == 1:
            known = next((field for field in self.view.fields if field.name == name[0]), None)
            return self._options(known, full=full) if known else [None]
        target = self.target(name[0])
        plain = _plain_row(target).get(name[1])
        field = next((item for item in target.fields if item.name == name[1]), None)
        moving = any(
            machine.entity == target.name and machine.field == name[1] for machine in self.blueprint.states
        )
        if field is None or field.readonly or moving or field.target:
            return [plain]
        rules = rules_of(self.blueprint, target.name)
        return [plain, *candidates(field, literals_in((*self.rules, *rules)))]

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


def _stem(field: Field, value: Any) -> str:
    """What is left of a text when there must be room for a number."""
    return str(value)[: max((field.maximum or 99) - 6, 0)]


def rules_of(blueprint: Blueprint, entity: str) -> tuple[Rule, ...]:
    """The rules of one entity."""
    return tuple(rule for rule in blueprint.rules if rule.entity == entity)


def _plain_row(entity: Entity) -> Row:
    """What a referenced row looks like when its test made it."""
    return {
        field.name: initial(field)
        if field.has_default or field.optional
        else next(iter(candidates(field, ())), None)
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
