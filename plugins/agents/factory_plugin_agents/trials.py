"""What the tests of an action need: a row it can be called on, a body, and what must come out."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from factory_core.contracts.blueprint import Blueprint

from .actions import ActionView
from .candidates import candidates, json_code
from .context import EntityView, FieldView
from .machines import MachineView
from .samples import Row, Study, samples_of

__all__ = ["Trial", "mover_of", "trial_of"]

Way = tuple[str, ...]


class Blocked(Struct, frozen=True, kw_only=True):
    """A state from which the action is refused, and the way there."""

    attr: str
    name: str
    way: Way


class Trial(Struct, frozen=True, kw_only=True):
    """One action's test. ``body`` and ``expected`` are keys with Python code."""

    body: tuple[tuple[str, str], ...]
    changes: str
    """What the row must have beside its smallest body, as code."""
    way: tuple[tuple[str, str], ...]
    """Changes of state that lead to where the action is allowed."""
    expected: tuple[tuple[str, str], ...]
    filled: tuple[str, ...]
    """Keys of the answer that have some value."""
    blocked: tuple[Blocked, ...]
    makeable: bool
    neighbours: tuple[str, ...]


def trial_of(blueprint: Blueprint, action: ActionView) -> Trial:
    """Work out the test of one action."""
    study = Study(blueprint, action.creates) if action.creates else None
    own = next((item.field.name for item in action.values if item.code == f"{action.entity.module}.id"), "")
    row = study.solve(given=own) if study else {}
    firsts = {field.attr: _first(action, field, row) for field in action.body}
    body = tuple((field.name, _body_code(field, firsts[field.attr])) for field in action.body)
    assigned = action.values if action.answers_created else action.sets
    shown = [item for item in assigned if item.field.shown]
    known = [
        (item.field.name, code)
        for item in shown
        if (code := _expected(action, item.field, item.code, firsts))
    ]
    moved = {machine.attr: _goal(action, machine) for machine in action.machines}
    return Trial(
        body=body,
        changes=study.target_changes(own, row) if study and own else "",
        way=tuple(
            (machine.machine.field, state)
            for machine in action.machines
            for state in _way(machine, moved[machine.attr])
        ),
        expected=tuple(known),
        filled=tuple(item.field.name for item in shown if item.code in {"utc_now()", "today()"}),
        blocked=tuple(
            found for machine in action.machines if (found := _blocked(machine, moved[machine.attr]))
        ),
        makeable=samples_of(blueprint, action.entity).makeable,
        neighbours=tuple(sorted({field.target_module for field in action.references})),
    )


def _body_code(field: FieldView, value: Any) -> str:
    if field.target_module:
        made = f'make_{field.target_module}(api)["id"]'
        return f"[{made}]" if field.many else made
    return json_code(field.field, value)


def _first(action: ActionView, field: FieldView, row: Row) -> Any:
    """A value that suits the row it goes to, if it goes to a new one."""
    goal = next((item.field.name for item in action.values if item.code == f"body.{field.attr}"), "")
    found = row.get(goal)
    return next(iter(candidates(field.field, ())), None) if found is None else found


def _expected(action: ActionView, field: FieldView, code: str, firsts: dict[str, Any]) -> str:
    """What the answer holds for an assignment; empty when it is not known beforehand."""
    if code.endswith(f"{action.entity.module}.id"):
        return 'row["id"]'
    for given in action.body:
        if code == f"body.{given.attr}":
            return "" if given.target_module else json_code(given.field, firsts[given.attr])
    if field.kind in {"text", "enum", "int", "bool", "float", "email", "url"} and "body." not in code:
        return "" if code in {"True", "False", "None"} else code
    return ""


def _goal(action: ActionView, machine: MachineView) -> str:
    code = next(item.code for item in action.sets if item.field.attr == machine.attr)
    return code.strip('"')


def _way(machine: MachineView, goal: str) -> Way:
    """The shortest way to a state from which the goal is allowed."""
    return min((way for way, allowed, _ in machine.routes if goal in allowed), key=len, default=())


def _blocked(machine: MachineView, goal: str) -> Blocked | None:
    for way, _, refused in machine.routes:
        if goal in refused:
            return Blocked(attr=machine.attr, name=machine.machine.field, way=way)
    return None


def mover_of(entity: EntityView, roles: tuple[str, ...], default: str | None) -> str:
    """The role that moves rows about before the action is tried."""
    may = entity.access.update
    free = [role for role in roles if role in may.roles and role not in may.own]
    return default if default in free else (free[0] if free else "")
