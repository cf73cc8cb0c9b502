"""All ``endpoints`` blocks of a document, with the names the seed's dialect gives them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from factory_core.contracts.blueprint import CrudCall, Endpoint, Entity

from .endpoints import Desk, read_body, read_endpoint
from .names import path_of
from .notes import quote
from .tree import Entry, Mapping, Scalar, Sequence, Tree, leaves

__all__ = ["Block", "read_endpoints"]

Block = tuple[str, Tree]
"""The key above an ``endpoints`` block, such as ``build_service``, and the block."""
NAMED = (
    ("POST", re.compile(r"POST_create_(\w+)"), "{path}"),
    ("GET", re.compile(r"GET_list_(\w+)"), "{path}"),
    ("GET", re.compile(r"GET_(\w+)_details"), "{path}/{{id}}"),
    ("GET", re.compile(r"GET_(\w+)_logs"), "{path}/{{id}}/logs"),
    ("GET", re.compile(r"GET_download_artifact()"), "/builds/{{id}}/artifact"),
    ("POST", re.compile(r"DELETE_cancel_(\w+)"), "{path}/{{id}}/cancel"),
)
EVERY_CALL = (
    ("create", "POST", ""),
    ("list", "GET", ""),
    ("read", "GET", "/{id}"),
    ("update", "PATCH", "/{id}"),
    ("delete", "DELETE", "/{id}"),
)


def read_endpoints(top: Tree | None, nested: Iterable[Block], desk: Desk) -> tuple[Endpoint, ...]:
    """The declared endpoints, each method and path once. Below the top level, what is no endpoint is left alone."""
    found: list[Endpoint] = []
    for entry in pairs(top):
        endpoint = named(entry, desk) or read_endpoint(entry, desk)
        found += [endpoint] if endpoint else []
    for above, block in nested:
        for entry in pairs(block):
            endpoint = named(entry, desk)
            if entry.key.text == "CRUD_operations":
                found += every_call(entry, above, desk)
            elif endpoint is not None:
                found.append(endpoint)
            elif re.match(r"(GET|POST|PATCH|DELETE) /", entry.key.text):
                declared = read_endpoint(entry, desk)
                found += [declared] if declared else []
    return once(found, desk)


def pairs(tree: Tree | None) -> list[Entry]:
    """The entries of a map, or of a list of maps; a bare name is an entry without a value."""
    if isinstance(tree, Mapping):
        return list(tree.entries)
    entries: list[Entry] = []
    for item in tree.items if isinstance(tree, Sequence) else ():
        if isinstance(item, Mapping):
            entries += item.entries
        elif isinstance(item, Scalar):
            entries.append(Entry(key=item, value=item))
    return entries


def named(entry: Entry, desk: Desk) -> Endpoint | None:
    """The endpoint that a name such as ``POST_create_build`` stands for."""
    for method, pattern, form in NAMED:
        found = pattern.fullmatch(entry.key.text)
        if found:
            entity = entity_called(found[1], desk)
            path = form.format(path=entity.path if entity else path_of(found[1] or "build"))
            endpoint = Endpoint(
                method=method, path=path, call=CrudCall.STUB, name=entry.key.text, line=entry.key.line
            )
            return read_body(endpoint, entry.value, desk)
    return None


def entity_called(word: str, desk: Desk) -> Entity | None:
    """The entity of that name, in the singular or the plural."""
    name = desk.names.called(word) if word else None
    return desk.entities[name] if name else desk.paths.get(path_of(word)) if word else None


def every_call(entry: Entry, above: str, desk: Desk) -> list[Endpoint]:
    """``CRUD_operations: [create, read, …]`` of a service: the calls of the entity the service is called after."""
    entity = entity_called(re.sub(r"[_ -]?(service|api)$", "", above), desk)
    if entity is None:
        return []
    words = {leaf.text: leaf for leaf in leaves(entry.value) if isinstance(leaf, Scalar)}
    found: list[Endpoint] = []
    for word, method, rest in EVERY_CALL:
        if word in words or not words:
            endpoint = Endpoint(
                method=method,
                path=entity.path + rest,
                call=CrudCall.STUB,
                name=entry.key.text,
                line=entry.key.line,
            )
            found.append(read_body(endpoint, words.get(word, entry.value), desk))
    return found


def once(found: list[Endpoint], desk: Desk) -> tuple[Endpoint, ...]:
    """Each method and path once; twice is an error."""
    known: dict[tuple[str, str], Endpoint] = {}
    for endpoint in found:
        first = known.setdefault((endpoint.method, endpoint.path), endpoint)
        if first is not endpoint:
            message = f"{quote(f'{endpoint.method} {endpoint.path}')} stands here and on line {first.line}."
            desk.notes.error("duplicate-endpoint", message, (endpoint.line, 1), "Remove one of them.")
    return tuple(known.values())
