"""Which calls a running service must answer, and how: read from the blueprint alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from factory_core.contracts.blueprint import Blueprint, CrudCall, Endpoint, Entity, Grant

__all__ = ["Call", "declared_calls"]

NOBODY = ""
STRANGER = "01890000-0000-7000-8000-000000000000"
"""An id that no row has."""
READ, WRITE = "read", "write"
NO_FIELDS: dict[str, str] = {}


class Call(Struct, frozen=True, kw_only=True):
    """One request and the statuses that keep the contract. ``role`` empty = no token."""

    method: str
    path: str
    role: str = NOBODY
    body: dict[str, str] | None = None
    statuses: tuple[int, ...]


def declared_calls(blueprint: Blueprint) -> tuple[Call, ...]:
    """On an empty database: health, the documents, and every endpoint once."""
    return (
        Call(method="GET", path="/health", statuses=(200,)),
        Call(method="GET", path="/openapi.json", statuses=(200,)),
        Call(method="GET", path="/docs", statuses=(200,)),
        *(call for entity in blueprint.entities for call in _entity_calls(blueprint, entity)),
        *(call for endpoint in blueprint.endpoints for call in _endpoint_calls(blueprint, endpoint)),
    )


def _entity_calls(blueprint: Blueprint, entity: Entity) -> Iterator[Call]:
    reader, writer = _role_for(blueprint, READ, entity.name), _role_for(blueprint, WRITE, entity.name)
    row = f"{entity.path}/{STRANGER}"
    # Roles that a declaration of the same call names take the place of the grants.
    own = {(each.method, each.path): each.roles[0] for each in blueprint.endpoints if each.roles}
    for method, path, statuses, role in (
        ("GET", entity.path, (200,), reader),
        ("GET", row, (404,), reader),
        ("POST", entity.path, (201, 422), writer),
        ("PATCH", row, (404,), writer),
        ("DELETE", row, (404,), writer),
        ("PUT", row, (405,), writer),
    ):
        role = own.get((method, path.replace(STRANGER, "{id}")), role)
        body = NO_FIELDS if method in ("POST", "PATCH", "PUT") else None
        if role is not None:
            yield Call(method=method, path=path, role=role, body=body, statuses=statuses)
        if blueprint.roles and method != "PUT":
            yield Call(method=method, path=path, body=body, statuses=(401,))


def _endpoint_calls(blueprint: Blueprint, endpoint: Endpoint) -> Iterator[Call]:
    if endpoint.call not in (CrudCall.ACTION, CrudCall.STUB):
        return  # a row of its entity's table above
    path = re.sub(r"\{[^}]*\}", STRANGER, endpoint.path)
    body = NO_FIELDS if endpoint.method != "GET" else None
    role = endpoint.roles[0] if endpoint.roles else _role_for(blueprint, WRITE, endpoint.entity)
    statuses = (404,) if "{" in endpoint.path else (200, 201, 204, 409, 422)
    if endpoint.call is CrudCall.STUB:
        statuses = (501,)
    if role is not None:
        yield Call(method=endpoint.method, path=path, role=role, body=body, statuses=statuses)
    if blueprint.roles:
        yield Call(method=endpoint.method, path=path, body=body, statuses=(401,))


def _role_for(blueprint: Blueprint, verb: str, entity: str | None) -> str | None:
    """A role that may; no role at all where there are none; None when nobody may."""
    if not blueprint.roles:
        return NOBODY
    for role in blueprint.roles:
        if any(_grants(grant, verb, entity) for grant in role.grants):
            return role.name
    return None


def _grants(grant: Grant, verb: str, entity: str | None) -> bool:
    if grant.verb == "all":
        return True
    matches = grant.entity is None or grant.entity == entity
    # "own" opens the calls, too, and answers 404 for rows of others.
    return matches and grant.verb in (verb, "own")
