"""Declared endpoints as code: what an action sets, creates and answers, and which endpoints are stubs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from factory_core.contracts.blueprint import Blueprint, CrudCall, Endpoint, Field, FieldKind

from . import kinds, naming
from .access import access_of, endpoint_roles
from .context import EntityView, FieldView

__all__ = ["ActionView", "Assignment", "StubView", "action_views", "stub_views"]


class Assignment(Struct, frozen=True, kw_only=True):
    """A field and the Python expression it is given."""

    field: FieldView
    code: str


class ActionView(Struct, frozen=True, kw_only=True):
    """An endpoint that sets, creates or returns."""

    endpoint: Endpoint
    node: str
    """``POST /cards/{id}/finish``."""
    module: str
    """Name of its module, its function and, in CamelCase, its body."""
    class_name: str
    words: str
    entity: EntityView
    by_id: bool
    sets: tuple[Assignment, ...]
    creates: EntityView | None
    values: tuple[Assignment, ...]
    answers_created: bool
    body: tuple[FieldView, ...]
    roles: tuple[str, ...]
    own: tuple[str, ...]

    @property
    def returns(self) -> EntityView:
        """The entity of the answer."""
        return self.creates if self.creates and self.answers_created else self.entity

    @property
    def status(self) -> int:
        """What success answers."""
        return 201 if self.answers_created else 200

    @property
    def effects(self) -> str:
        """What the call does, for people."""
        found = [f"sets `{name}` to {_told(value)}" for name, value in self.endpoint.sets.items()]
        if self.creates:
            values = self.endpoint.creates_values.items()
            given = ", ".join(f"`{name}` as {_told(value)}" for name, value in values)
            found.append(f"makes {self.creates.a}" + (f" with {given}" if given else ""))
        return "; ".join([*found, f"answers the {self.returns.words}"])

    @property
    def refusals(self) -> tuple[int, ...]:
        """The statuses of its refusals."""
        bodied = bool(self.body) or self.endpoint.method != "GET"
        writes = bool(self.sets or self.creates)
        found = {400: bodied, 401: bool(self.roles), 403: bool(self.roles), 404: self.by_id}
        found |= {409: writes, 422: bodied or writes}
        return tuple(status for status, holds in found.items() if holds)

    @property
    def body_optional(self) -> bool:
        """Whether the call can be made without a body."""
        return all(
            field.optional or field.default or field.many or field.kind == "list" for field in self.body
        )

    @property
    def references(self) -> tuple[FieldView, ...]:
        """Keys of the body that name other rows."""
        return tuple(field for field in self.body if field.target_class)

    @property
    def machines(self) -> tuple[Any, ...]:
        """The state machines that it moves."""
        attrs = {item.field.attr for item in self.sets}
        return tuple(machine for machine in self.entity.machines if machine.attr in attrs)

    @property
    def imported_models(self) -> tuple[str, ...]:
        """The models that its module needs."""
        names = {self.entity.class_name, self.returns.class_name}
        names |= {self.creates.class_name} if self.creates else set()
        return tuple(sorted(names | {field.target_class for field in self.references}))

    @property
    def marks_maker(self) -> bool:
        """Whether the row it creates remembers who made it."""
        return self.creates is not None and self.creates.access.any_own

    @property
    def needs_request(self) -> bool:
        """Whether it reads the settings."""
        return any("request.app" in code for code in self.values_code)

    @property
    def own_code(self) -> str:
        """The roles that only reach what they made, as Python literals."""
        return ", ".join(f'"{role}"' for role in self.own)

    @property
    def values_code(self) -> tuple[str, ...]:
        """Every expression it assigns."""
        return tuple(item.code for item in (*self.sets, *self.values))

    @property
    def roles_code(self) -> str:
        """The roles as Python arguments."""
        return ", ".join(f'"{role}"' for role in self.roles)


class StubView(Struct, frozen=True, kw_only=True):
    """An endpoint that is declared and answers 501."""

    method: str
    path: str
    name: str
    summary: str
    roles: tuple[str, ...]


def action_views(blueprint: Blueprint, entities: tuple[EntityView, ...]) -> tuple[ActionView, ...]:
    """The endpoints that can be generated."""
    by_name = {view.name: view for view in entities}
    declared = [item for item in blueprint.endpoints if item.call is CrudCall.ACTION and item.entity]
    taken = [view.module for view in entities]
    named = [_module(endpoint, by_name[endpoint.entity or ""]) for endpoint in declared]
    modules = naming.unique([*taken, *named])[len(taken) :]
    return tuple(
        _action(blueprint, endpoint, module, by_name)
        for endpoint, module in zip(declared, modules, strict=True)
    )


def stub_views(blueprint: Blueprint) -> tuple[StubView, ...]:
    """The endpoints that answer 501."""
    stubs = [endpoint for endpoint in blueprint.endpoints if endpoint.call is CrudCall.STUB]
    names = naming.unique(naming.snake(f"{endpoint.method} {endpoint.path}") for endpoint in stubs)
    roles = tuple(role.name for role in blueprint.roles)
    return tuple(
        StubView(
            method=endpoint.method,
            path=endpoint.path,
            name=name,
            summary=endpoint.description
            or endpoint.name.replace("_", " ")
            or f"{endpoint.method} {endpoint.path}",
            roles=endpoint_roles(blueprint, endpoint.roles) if endpoint.roles else roles,
        )
        for endpoint, name in zip(stubs, names, strict=True)
    )


def _module(endpoint: Endpoint, entity: EntityView) -> str:
    rest = naming.snake(endpoint.path.removeprefix(entity.path).replace("{id}", " "))
    return naming.module(f"{rest} {entity.words}")


def _action(
    blueprint: Blueprint, endpoint: Endpoint, module: str, by_name: dict[str, EntityView]
) -> ActionView:
    entity = by_name[endpoint.entity or ""]
    creates = by_name[endpoint.creates] if endpoint.creates else None
    access = access_of(blueprint, entity.name, writing=endpoint.method != "GET")
    given = _assignments(entity, endpoint.sets, entity.module)
    values = _assignments(creates, endpoint.creates_values, entity.module) if creates else ()
    return ActionView(
        endpoint=endpoint,
        node=f"{endpoint.method} {endpoint.path}",
        module=module,
        class_name=naming.pascal(module),
        words=module.strip("_").replace("_", " "),
        entity=entity,
        by_id="{id}" in endpoint.path,
        sets=given,
        creates=creates,
        values=(*values, *_defaults(creates, endpoint.creates_values)) if creates else (),
        answers_created=creates is not None and endpoint.returns in {None, creates.name},
        body=tuple(_body_field(field, (*given, *values), by_name) for field in endpoint.body),
        roles=endpoint_roles(blueprint, endpoint.roles) if endpoint.roles else access.roles,
        own=access.own,
    )


def _assignments(entity: EntityView, values: dict[str, Any], row: str) -> tuple[Assignment, ...]:
    return tuple(
        Assignment(field=entity.field(name), code=_code(entity.field(name), value, row))
        for name, value in values.items()
    )


def _told(value: Any) -> str:
    """A value of ``sets`` or ``creates``, for people."""
    if value == "$id":
        return "the path's id"
    if isinstance(value, str) and value.startswith("$body."):
        return f"the body's `{value.removeprefix('$body.')}`"
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value, default=str)}`"


def _code(field: FieldView, value: Any, row: str) -> str:
    if value == "$id":
        return f"[{row}.id]" if field.many else f"{row}.id"
    if isinstance(value, str) and value.startswith("$body."):
        return _protected(field, f"body.{naming.attribute(value.removeprefix('$body.'))}")
    if field.many or isinstance(value, dict | list):
        return repr(value)  # type: ignore[reportUnknownArgumentType] - plain JSON
    return _protected(field, kinds.default_code(field.field, value))


def _protected(field: FieldView, code: str) -> str:
    if field.hashed:
        return f"hash_secret(str({code}))"
    return f"encrypt(str({code}), request.app.state.settings.secret_key)" if field.encrypted else code


def _defaults(entity: EntityView | None, given: dict[str, Any]) -> tuple[Assignment, ...]:
    """What a new row has that nobody names, so that rules and states can look at it before it is stored."""
    fields = entity.fields if entity else ()
    return tuple(
        Assignment(field=field, code=field.default or "[]")
        for field in fields
        if field.name not in given and (field.default or field.kind == "list")
    )


def _tighter(choose: Callable[[list[int]], int], *bounds: int | None) -> int | None:
    known = [bound for bound in bounds if bound is not None]
    return choose(known) if known else None


def _body_field(field: Field, uses: tuple[Assignment, ...], by_name: dict[str, EntityView]) -> FieldView:
    """A key of the body. One that is stored as it comes is checked as the field it goes to."""
    attr = naming.attribute(field.name)
    goal = next(
        (use.field for use in uses if f"body.{attr}" in use.code and use.field.kind == field.kind), None
    )
    if goal is not None:
        field = replace(
            goal.field,
            name=field.name,
            optional=field.optional,
            has_default=field.has_default,
            default=field.default,
            minimum=_tighter(max, field.minimum, goal.field.minimum),
            maximum=_tighter(min, field.maximum, goal.field.maximum),
        )
    target = by_name.get(field.target or "")
    return FieldView(
        field=field,
        attr=attr,
        optional=field.optional,
        python="list[UUID]" if field.kind is FieldKind.MANY else kinds.python_type(field),
        column="",
        body=kinds.body_type(field),
        answer="",
        default=kinds.default_code(field, field.default) if field.has_default else "",
        dynamic=field.default in {"now", "today"} and field.kind in {FieldKind.DATE, FieldKind.DATETIME},
        target_class=target.class_name if target else "",
        target_table=target.table if target else "",
        target_module=target.module if target else "",
    )
