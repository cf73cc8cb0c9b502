"""Kinds of work made into pieces: one task for each node, or for a chunk of nodes when the agents do not suffice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from factory_core.contracts.blueprint import Blueprint, CrudCall, Endpoint
from factory_core.contracts.plan import PlannedTask
from factory_core.contracts.template import WorkSpec

from .errors import PlanError
from .scope import requirements_by_entity
from .slugs import Names, slug

__all__ = ["Node", "Piece", "endpoint_key", "nodes_of", "pieces_of", "share_out"]

_LISTED = 3
"""How many nodes of a chunk its title names."""


class Node(Struct, frozen=True, kw_only=True):
    """Something a piece of work is done for."""

    name: str
    slug: str
    """Unique among the nodes of its kind."""
    entity: str | None = None
    requirements: tuple[str, ...] = ()
    line: int = 0


class Piece(Struct, frozen=True, kw_only=True):
    """One task to be, with the nodes it covers; project work has none."""

    work: WorkSpec
    nodes: tuple[Node, ...] = ()
    number: int = 0
    """Which chunk, from 1; 0 when the nodes are not chunked."""
    of: int = 0

    def task(self, *, team: str) -> PlannedTask:
        """The piece as a task without edges, its phase the work's stage."""
        node = self.nodes[0] if len(self.nodes) == 1 else None
        names = [item.name for item in self.nodes]
        params = {**self.work.params, "work": self.work.name, "nodes": json.dumps(names, ensure_ascii=False)}
        if node is not None:
            params["node"] = node.name
        entities = {item.entity for item in self.nodes}
        only = next(iter(entities)) if len(entities) == 1 else None
        requirements = dict.fromkeys(known for item in self.nodes for known in item.requirements)
        return PlannedTask(
            id=self._id(),
            agent=self.work.agent,
            title=self._title(),
            team=team,
            phase=self.work.stage,
            params=params,
            scope="project" if only is None else f"entity:{only}",
            requirements=tuple(requirements),
            seconds=round(float(self.work.seconds) * max(1, len(self.nodes)), 6),
            always=self.work.stage == "deliver",
            line=node.line if node is not None else 0,
        )

    def _id(self) -> str:
        if self.number:
            return f"{self.work.name}/{self.number}-of-{self.of}"
        return f"{self.work.name}/{self.nodes[0].slug}" if self.nodes else self.work.name

    def _title(self) -> str:
        title = self.work.title or self.work.name.replace("_", " ").replace("-", " ").capitalize()
        if not self.nodes:
            return title
        listed = ", ".join(node.name for node in self.nodes[:_LISTED])
        more = f" and {len(self.nodes) - _LISTED} more" if len(self.nodes) > _LISTED else ""
        return f"{title}: {listed}{more}"


def endpoint_key(endpoint: Endpoint) -> str:
    """How plan and report name an endpoint."""
    return f"{endpoint.method} {endpoint.path}"


def nodes_of(blueprint: Blueprint) -> dict[str, tuple[Node, ...]]:
    """The nodes of each ``each``, in the spec's order. Plain CRUD is part of its entity and no node."""
    by_entity = requirements_by_entity(blueprint)
    named: dict[str, list[str]] = {}
    for requirement in blueprint.requirements:
        for name in requirement.by:
            named.setdefault(name, []).append(requirement.id)

    def node(name: str, entity: str | None, requirements: tuple[str, ...], line: int) -> Node:
        linked = tuple(dict.fromkeys([*requirements, *named.get(name, ())]))
        owner = entity if entity in by_entity else None
        return Node(name=name, slug=slug(name), entity=owner, requirements=linked, line=line)

    entities = tuple(
        Node(
            name=item.name,
            slug=slug(item.name, keep_case=True),
            entity=item.name,
            requirements=by_entity[item.name],
            line=item.line,
        )
        for item in blueprint.entities
    )
    endpoints = tuple(
        node(endpoint_key(item), item.entity, item.requirements, item.line)
        for item in blueprint.endpoints
        if item.call in (CrudCall.ACTION, CrudCall.STUB)
    )
    views = tuple(node(item.name, item.lists, item.requirements, item.line) for item in blueprint.views)
    cases = tuple(node(item.name, None, item.requirements, item.line) for item in blueprint.acceptance)
    kinds = {"project": (), "entity": entities, "endpoint": endpoints, "view": views, "case": cases}
    return {kind: _apart(nodes) for kind, nodes in kinds.items()}


def _apart(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    names = Names()
    return tuple(replace(node, slug=names.take(node.slug)) for node in nodes)


def pieces_of(work: WorkSpec, nodes: tuple[Node, ...], slots: int) -> tuple[Piece, ...]:
    """At most ``slots`` pieces that cover every node once, neighbours together."""
    if work.each == "project":
        return (Piece(work=work),)
    if len(nodes) <= slots:
        return tuple(Piece(work=work, nodes=(node,)) for node in nodes)
    size, rest = divmod(len(nodes), slots)
    pieces: list[Piece] = []
    start = 0
    for number in range(1, slots + 1):
        end = start + size + (number <= rest)
        pieces.append(Piece(work=work, nodes=nodes[start:end], number=number, of=slots))
        start = end
    return tuple(pieces)


def share_out(
    works: Sequence[WorkSpec], nodes: Mapping[str, tuple[Node, ...]], cap: int, weights: Mapping[str, float]
) -> dict[str, int]:
    """How many tasks each work gets: all it asks for while that fits under the cap, else at least one each and the rest
    by nodes times weight."""
    wanted = {work.name: 1 if work.each == "project" else len(nodes[work.each]) for work in works}
    wanted = {name: count for name, count in wanted.items() if count}
    if cap < len(wanted):
        raise PlanError(
            f"max_agents is {cap}, but the template's {len(wanted)} kinds of work need an agent each. "
            f"Set constraints.max_agents to {len(wanted)} or more."
        )
    if sum(wanted.values()) <= cap:
        return wanted
    slots = dict.fromkeys(wanted, 1)
    for _ in range(cap - len(wanted)):
        # The work whose nodes wait in the longest chunks comes next; the order of the manifest breaks ties.
        neediest = max(
            (name for name in wanted if slots[name] < wanted[name]),
            key=lambda name: wanted[name] * weights.get(name, 1.0) / slots[name],
        )
        slots[neediest] += 1
    return slots
