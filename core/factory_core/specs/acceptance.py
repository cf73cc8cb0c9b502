"""``acceptance``: stories told as HTTP calls."""

from __future__ import annotations

import re
from collections.abc import Collection
from collections.abc import Mapping as Lookup
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from factory_core.contracts.blueprint import AcceptanceCase, Entity, Role, Step

from .links import Links
from .names import BUILT_IN, check_known
from .notes import Notes, nearest, quote
from .roles import NOBODY
from .tree import Entry, Mapping, Scalar, Tree, plain, walk

__all__ = ["read_acceptance"]

METHODS = ("get", "post", "patch", "delete")
STEP_KEYS = (*METHODS, "body", "as", "expect", "save")
EXPECT_KEYS = ("status", "body", "count", "header", "absent")
CASE_KEYS = ("name", "requirement", "steps")
SUCCESSES = range(200, 300)
VARIABLE = re.compile(r"\$(?:\$|([A-Za-z_][A-Za-z0-9_]*)((?:\.[A-Za-z0-9_]+)*))")


class Stage(Struct, frozen=True):
    """What every step of a specification may rely on."""

    roles: tuple[Role, ...]
    default: str | None
    paths: Collection[str]
    """First segments of all paths that answer, such as ``/cards``; empty when that is not known."""
    rows: Lookup[str, Entity | None]
    """What a call such as ``POST /cards`` or ``PATCH /cards/{id}`` takes and answers; None where it is declared to do
    something else."""
    links: Links
    notes: Notes


def read_acceptance(
    tree: Tree | None,
    roles: tuple[Role, ...],
    paths: Collection[str],
    rows: Lookup[str, Entity | None],
    links: Links,
    notes: Notes,
) -> tuple[AcceptanceCase, ...]:
    """The cases, names unique. ``paths`` and ``rows`` are those of ``Stage``."""
    stage = Stage(roles, first_all(roles), paths, rows, links, notes)
    cases: dict[str, AcceptanceCase] = {}
    for number, item in enumerate(notes.items(tree, "acceptance"), 1):
        mapping = notes.mapping(item, "An acceptance case")
        if mapping is None:
            continue
        case = read_case(mapping, number, stage)
        first = cases.setdefault(case.name, case)
        if first is not case:
            message = f"The case {quote(case.name)} stands here and on line {first.line}."
            notes.error("same-name", message, mapping, "Rename one of them.")
    return tuple(cases.values())


def read_case(mapping: Mapping, number: int, stage: Stage) -> AcceptanceCase:
    """One case with its steps."""
    notes = stage.notes
    notes.keys(mapping, CASE_KEYS, "an acceptance case")
    name = notes.text(mapping.get("name"), "name")
    if not name:
        name = f"case {number}"
        notes.assume(f"The acceptance case on line {mapping.line} is called {quote(name)}", mapping)
    saved: set[str] = set()
    steps: list[Step] = []
    for item in notes.items(mapping.get("steps"), "steps"):
        step_map = notes.mapping(item, "A step")
        step = read_step(step_map, saved, stage) if step_map else None
        steps += [step] if step else []
    if not steps:
        notes.error(
            "case", f"The case {quote(name)} has no steps.", mapping, "For example: steps: [{get: /cards}]"
        )
    requirements = stage.links.read(mapping.get("requirement"))
    for key in CASE_KEYS:
        value = mapping.get(key)
        if value is not None:
            claim_case(value, f"case:{name}", notes)
    return AcceptanceCase(name=name, steps=tuple(steps), requirements=requirements, line=mapping.line)


def claim_case(tree: Tree, part: str, notes: Notes) -> None:
    """Everything the steps were made of; keys that mean nothing stay *not understood*."""
    if isinstance(tree, Scalar):
        notes.claim(tree, part)
        return
    steps = tree.entries if isinstance(tree, Mapping) else tree.items
    for step in steps:
        for entry in step.entries if isinstance(step, Mapping) else ():
            known = entry.key.text in STEP_KEYS
            if known and entry.key.text == "expect" and isinstance(entry.value, Mapping):
                for inner in entry.value.entries:
                    if inner.key.text in EXPECT_KEYS:
                        notes.claim(inner.value, part)
            elif known:
                notes.claim(entry.value, part)
        if isinstance(step, Scalar):
            notes.claim(step, part)


def read_step(mapping: Mapping, saved: set[str], stage: Stage) -> Step | None:
    """One call; None with an error when it says no method."""
    notes = stage.notes
    notes.keys(mapping, STEP_KEYS, "a step")
    calls = [entry for entry in mapping.entries if entry.key.text in METHODS]
    if len(calls) != 1:
        message = "A step makes one call." if calls else "A step needs a call."
        notes.error("step", message, mapping, "For example: {get: /cards, expect: 200}")
        return None
    call = calls[0]
    path = notes.text(call.value, "The path") or ""
    if not path.startswith("/"):
        notes.error("step", f"The path {quote(path)} does not begin with /.", call.value)
    check_variables(mapping, saved, notes)
    step = Step(
        method=call.key.text.upper(),
        path=path,
        body=value_of(mapping.get("body")),
        has_body=mapping.get("body") is not None,
        role=read_role(mapping, stage),
        save=read_save(mapping, saved, notes),
        line=mapping.line,
    )
    step = read_expect(step, mapping.get("expect"), notes)
    check_path(step, call.value, stage)
    check_fields(step, mapping, stage)
    return step


def check_path(step: Step, tree: Tree, stage: Stage) -> None:
    """Warn of a call that nothing answers, unless that is what the story expects."""
    head = "/" + re.split(r"[/?]", step.path.removeprefix("/"))[0]
    if stage.paths and step.status != 404 and head not in stage.paths and step.path.startswith("/"):
        hint = nearest(head, stage.paths) or f"Paths: {', '.join(sorted(stage.paths)[:12])}."
        stage.notes.warn("no-such-path", f"Nothing answers under {quote(head)}.", tree, hint)


def check_fields(step: Step, mapping: Mapping, stage: Stage) -> None:
    """Warn of keys that the entity does not have, where the story expects a success."""
    path = step.path.partition("?")[0]
    head, *rest = path.strip("/").split("/")
    one = f"{step.method} /{'/'.join([head, *('{id}' for _ in rest)])}"
    exact = f"{step.method} {path}"
    entity = stage.rows.get(exact if exact in stage.rows else one)
    if entity is None or not (step.status is None or step.status in SUCCESSES):
        return
    known = [*BUILT_IN, *(field.name for field in entity.fields)]
    expect = mapping.get("expect")
    answer = expect.get("body") if isinstance(expect, Mapping) else None
    for body in (mapping.get("body"), answer):
        for entry in body.entries if isinstance(body, Mapping) else ():
            if entry.key.text not in known:
                message = f"{entity.name} has no field {quote(entry.key.text)}."
                hint = nearest(entry.key.text, known) or f"Fields: {', '.join(known[:12])}."
                stage.notes.warn("no-such-field", message, entry.key, hint)


def first_all(roles: tuple[Role, ...]) -> str | None:
    """The first role that may do all."""
    return next((role.name for role in roles if any(grant.verb == "all" for grant in role.grants)), None)


def value_of(tree: Tree | None) -> Any:
    """The value as plain data."""
    return None if tree is None else plain(tree)


def check_variables(mapping: Mapping, saved: set[str], notes: Notes) -> None:
    """Note an error for every ``$name`` that no earlier step saved."""
    for entry in mapping.entries:
        if entry.key.text == "save":
            continue
        for node in walk(entry.value):
            if not isinstance(node, Scalar):
                continue
            for found in VARIABLE.finditer(node.text):
                if found[1] and found[1] not in saved:
                    place = replace(node, text=found[1], column=node.column + found.start())
                    check_known(place, saved, "saved by an earlier step", notes)


def read_role(mapping: Mapping, stage: Stage) -> str | None:
    """Who makes the call."""
    tree = mapping.get("as")
    word = stage.notes.text(tree, "as")
    if tree is None or word is None:
        if stage.roles and stage.default is None:
            message = "No role may do all, so every step says who makes the call."
            stage.notes.error("as", message, mapping, f"For example: as: {stage.roles[0].name}")
        return None
    if not stage.roles:
        stage.notes.error(
            "as", "There are no roles, so nobody can sign in.", tree, "Remove as, or add roles."
        )
        return None
    if isinstance(tree, Scalar):
        check_known(tree, {*(role.name for role in stage.roles), NOBODY}, "a role", stage.notes)
    return word


def read_save(mapping: Mapping, saved: set[str], notes: Notes) -> str | None:
    """The name under which later steps find the answer."""
    tree = mapping.get("save")
    name = notes.text(tree, "save")
    if tree is None or name is None:
        return None
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        notes.error("step", f"{quote(name)} cannot name an answer.", tree, "Letters, digits and _.")
    saved.add(name)
    return name


def read_expect(step: Step, tree: Tree | None, notes: Notes) -> Step:
    """The step with what it expects: a status, or a map."""
    if tree is None:
        return step
    if not isinstance(tree, Mapping):
        return replace(step, status=read_status(tree, notes))
    notes.keys(tree, EXPECT_KEYS, "expect")
    body = tree.get("body")
    return replace(
        step,
        status=read_status(tree.get("status"), notes),
        expect_body=value_of(body),
        has_expect_body=body is not None,
        count=read_count(tree.get("count"), notes),
        headers=read_headers(tree.get("header"), notes),
        absent=tuple(word.text for word in notes.words(tree.get("absent"), "absent")),
    )


def read_status(tree: Tree | None, notes: Notes) -> int | None:
    """An HTTP status."""
    if tree is None:
        return None
    if isinstance(tree, Scalar) and type(tree.value) is int and 100 <= tree.value <= 599:
        return tree.value
    notes.error(
        "expect", "expect is a status such as 201, or a map with status, body, count, header, absent.", tree
    )
    return None


def read_count(tree: Tree | None, notes: Notes) -> int | None:
    """How many items a list answers."""
    if tree is None:
        return None
    if isinstance(tree, Scalar) and type(tree.value) is int and tree.value >= 0:
        return tree.value
    notes.error("expect", "count is a whole number.", tree)
    return None


def read_headers(tree: Tree | None, notes: Notes) -> dict[str, str]:
    """The headers an answer must have."""
    mapping = notes.mapping(tree, "header")
    entries: tuple[Entry, ...] = mapping.entries if mapping else ()
    return {entry.key.text: notes.text(entry.value, "A header") or "" for entry in entries}
