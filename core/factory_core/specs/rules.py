"""``states`` and ``rules``."""

from __future__ import annotations

from collections.abc import Mapping as Lookup

from factory_core.contracts.blueprint import Entity, Field, FieldKind, Rule, StateMachine

from .expression_types import Fields, check_expression
from .expressions import NotInLanguage, parse_expression
from .links import Links
from .names import check_known
from .notes import Notes, nearest, quote
from .tree import Entry, Mapping, Scalar, Tree

__all__ = ["find_field", "read_rules", "read_states"]

MOST_RULES = 1_000
RULE_KEYS = ("entity", "check", "message", "requirement")


def find_field(word: Scalar, entities: Lookup[str, Entity], notes: Notes) -> tuple[Entity, Field] | None:
    """What ``Card.status`` names; None with an error when it names nothing."""
    entity_name, _, field_name = word.text.rpartition(".")
    entity = entities.get(entity_name)
    if entity is None:
        known = {f"{name}.{field.name}" for name, entity in entities.items() for field in entity.fields}
        check_known(word, known, "a field", notes)
        return None
    fields = {field.name: field for field in entity.fields}
    if field_name not in fields:
        message = f"{quote(entity_name)} has no field {quote(field_name)}."
        notes.error("unknown-name", message, word, nearest(field_name, fields))
        return None
    return entity, fields[field_name]


def read_states(
    tree: Tree | None, entities: Lookup[str, Entity], links: Links, notes: Notes
) -> tuple[StateMachine, ...]:
    """The transitions of every ``Entity.field`` under ``states``."""
    found: list[StateMachine] = []
    mapping = notes.mapping(tree, "states")
    for entry in mapping.entries if mapping else ():
        target = find_field(entry.key, entities, notes)
        if target is not None:
            machine = read_machine(entry, *target, links, notes)
            found += [machine] if machine else []
            notes.claim(entry.value, f"states:{entry.key.text}")
    return tuple(found)


def read_machine(
    entry: Entry, entity: Entity, field: Field, links: Links, notes: Notes
) -> StateMachine | None:
    """One map ``state -> [next states]``; the initial state is the field's default."""
    mapping = notes.mapping(entry.value, entry.key.text)
    if field.kind is not FieldKind.ENUM:
        message = f"{quote(entry.key.text)} is {field.kind.value}; only an enum has states."
        notes.error("states", message, entry.key, f"For example: {field.name}: enum(open, closed) = open")
        return None
    if not field.has_default:
        message = f"{quote(entry.key.text)} has no default, so nothing says which state is the first."
        notes.error("states", message, entry.key, f"Add to the field: = {field.values[0]}")
        return None
    transitions: dict[str, tuple[str, ...]] = {}
    requirements: tuple[str, ...] = ()
    for state in mapping.entries if mapping else ():
        if state.key.text == "requirement" and "requirement" not in field.values:
            requirements = links.read(state.value)
        elif check_known(state.key, set(field.values), f"a word of {entry.key.text}", notes):
            words = notes.words(state.value, f"The states after {state.key.text}")
            known = [
                check_known(word, set(field.values), f"a word of {entry.key.text}", notes) for word in words
            ]
            if all(known):
                transitions[state.key.text] = tuple(word.text for word in words)
    return StateMachine(
        entity=entity.name,
        field=field.name,
        initial=str(field.default),
        transitions=transitions,
        requirements=requirements,
        line=entry.key.line,
    )


def read_rules(
    tree: Tree | None, entities: Lookup[str, Entity], links: Links, notes: Notes
) -> tuple[Rule, ...]:
    """The rules whose checks the language can express; the others stay *not understood*."""
    found: list[Rule] = []
    fields = {name: {field.name: field for field in entity.fields} for name, entity in entities.items()}
    items = notes.items(tree, "rules")
    if tree is not None and len(items) > MOST_RULES:
        message = f"There are {len(items):,} rules; more than {MOST_RULES:,} are not read."
        notes.error("too-large", message, tree, "Split the product.")
    for item in items[:MOST_RULES]:
        mapping = notes.mapping(item, "A rule")
        if mapping is not None:
            rule = read_rule(mapping, fields, links, notes)
            found += [rule] if rule else []
    return tuple(found)


def read_rule(mapping: Mapping, fields: Fields, links: Links, notes: Notes) -> Rule | None:
    """One rule; None when something is missing or not understood."""
    notes.keys(mapping, RULE_KEYS, "a rule")
    entity, check = mapping.get("entity"), mapping.get("check")
    if not isinstance(entity, Scalar) or not isinstance(check, Scalar):
        example = (
            'For example: {entity: Card, check: "estimate >= 0", message: An estimate cannot be negative.}'
        )
        notes.error("rule", "A rule needs an entity and a check.", mapping, example)
        return None
    requirements = links.read(mapping.get("requirement"))
    if not check_known(entity, fields, "an entity", notes):
        return None
    try:
        expression = check_expression(parse_expression(check.text), entity.text, fields)
    except NotInLanguage as reason:
        message = f"The check {quote(check.text)} is not understood: {reason}"
        hint = "Comparisons, and/or/not, + - * /, in, is null, fields, today, now, len()."
        notes.warn("not-understood", message.rstrip(".") + ".", check, hint)
        return None
    message = notes.text(mapping.get("message"), "message") or f"{check.text} does not hold."
    notes.claim_keys(mapping, RULE_KEYS, f"rule:{entity.text}: {check.text}")
    return Rule(
        entity=entity.text,
        check=expression,
        text=check.text,
        message=message,
        requirements=requirements,
        line=mapping.line,
    )
