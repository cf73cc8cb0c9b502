"""A document, whole: text to a blueprint, every problem at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace

from factory_core.contracts.blueprint import Blueprint, CrudCall, Endpoint, Entity, Node, Requirement

from .acceptance import read_acceptance
from .comments import Comment, attach, find_comments
from .compose import Budget, compose
from .constraints import read_behaviours, read_constraints, read_project, read_rounds
from .declared import read_endpoints
from .endpoints import Desk
from .entities import collect, read_entities
from .extras import deliverable_files, find_blocks, read_list, read_technology
from .hints import find_agent_hints, hint_nodes, read_hints
from .intake import decode
from .links import Links
from .markdown import Fragment, Heading, find_fragments, is_markdown
from .merge import merge
from .names import RESERVED_PATHS
from .notes import Notes, TooManyProblems, nearest
from .phases import read_phases
from .problems import Reading
from .requirements import check_links, read_leaves, read_requirements
from .roles import is_mixed, read_roles
from .rules import read_rules, read_states
from .tree import Entry, Mapping, Scalar, Sequence, Tree, leaves, place, walk
from .views import read_views

__all__ = ["read"]

TWINS = {
    "_meta": "meta",
    "_constraints": "constraints",
    "_behaviors": "behaviors",
    "behaviours": "behaviors",
    "dependency_graph": "phases",
    "tables": "entities",
}
"""Second spellings of top-level keys, and the first."""
TYPED = (
    "entities",
    "states",
    "rules",
    "roles",
    "endpoints",
    "views",
    "requirements",
    "acceptance",
    "project",
)
"""Sections in which every key already has a meaning, so that ``tables`` or ``technology`` is none there."""
OTHERS = (
    "factory", "meta", "constraints", "behaviors", "phases", "agent_hints", "technology", "deliverables", "do_not_build",
    "reference_implementations", "special_instructions", "success_metrics", "quality_requirements",
)  # fmt: skip
MOST_FENCES = 500
REQUIRED_SECTIONS = ("success_metrics", "quality_requirements", "deliverables")


class Document(Struct, frozen=True):
    """A document before anything in it has a meaning."""

    root: Mapping
    comments: list[Comment]
    heading: Heading | None = None


def read(data: bytes, *, name: str = "spec.yaml") -> Reading:
    """Read a specification. Never raises for anything the bytes hold: what is wrong becomes a problem."""
    notes = Notes()
    text = decode(data, notes)
    blueprint: Blueprint | None = None
    with suppress(TooManyProblems):
        document = parse(text, name, notes) if text is not None else None
        blueprint = understand(document, notes) if document is not None else None
    if notes.failed:
        blueprint = None
    problems = tuple(sorted(notes.problems, key=lambda problem: (problem.line, problem.column)))
    return Reading(blueprint=blueprint, problems=problems, source=text or "")


def parse(text: str, name: str, notes: Notes) -> Document | None:
    """The document's one map, with comments; None when it cannot be read to the end."""
    fragments: tuple[Fragment, ...] = (Fragment(text=text),)
    heading: Heading | None = None
    if is_markdown(name):
        fragments, heading = find_fragments(text)
        if len(fragments) > MOST_FENCES:
            message = f"There are more than {MOST_FENCES} fenced yaml blocks."
            notes.error("too-large", message, fragments[MOST_FENCES].locate(0, 0), "Join some of them.")
            return None
        if not fragments:
            notes.warn(
                "empty", "There is no fenced yaml block in the document.", (1, 1), "Begin one with ```yaml"
            )
    entries: list[Entry] = []
    comments: list[Comment] = []
    budget = Budget()
    readable = True
    for fragment in fragments:
        composed = compose(fragment, notes, budget)
        readable = readable and composed.readable
        comments += find_comments(fragment, composed, budget)
        if isinstance(composed.tree, Mapping):
            entries += map(canonical, composed.tree.entries)
        elif composed.tree is not None:
            hint = "For example: project: {name: My product}"
            notes.error("shape", "A specification is a map of keys and values.", composed.tree, hint)
    root = place(Mapping(entries=merge(entries, notes), line=1, column=1))
    if not readable or not isinstance(root, Mapping):
        return None
    return Document(root, attach(comments, root), heading)


def canonical(entry: Entry) -> Entry:
    """The entry with the first spelling of a top-level key that has two."""
    first = TWINS.get(entry.key.text)
    return replace(entry, key=replace(entry.key, text=first)) if first else entry


def understand(document: Document, notes: Notes) -> Blueprint:
    """Everything the document says, and what of it was not understood."""
    root = document.root
    check_top(root, notes)
    loose = [entry.value for entry in root.entries if entry.key.text not in TYPED]
    requirements = all_requirements(root, notes)
    links = Links({requirement.id for requirement in requirements}, notes)
    drafts = collect([block for block in (root.get("entities"), *tables(loose)) if block is not None], notes)
    entities = {entity.name: entity for entity in read_entities(drafts, links, notes)}
    mixed = [node for tree in loose for node in walk(tree) if is_mixed(node)]
    roles = read_roles(root.get("roles"), mixed, set(entities), notes)
    desk = Desk(entities, roles, links, notes)
    nested = [block for tree in loose for block in find_blocks(tree, "endpoints")]
    endpoints = read_endpoints(root.get("endpoints"), nested, desk)
    blueprint = Blueprint(
        project=read_project(root.get("project"), document.heading, notes),
        entities=tuple(entities.values()),
        states=read_states(root.get("states"), entities, links, notes),
        rules=read_rules(root.get("rules"), entities, links, notes),
        roles=roles,
        endpoints=endpoints,
        views=read_views(root.get("views"), entities, links, notes),
        requirements=tuple(requirements),
        acceptance=read_acceptance(
            root.get("acceptance"),
            roles,
            paths_of(entities, endpoints),
            rows_of(entities, endpoints),
            links,
            notes,
        ),
    )
    blueprint = with_plan(blueprint, document, loose, notes)
    check_links(requirements, parts_of(blueprint, entities), root.get("requirements"), notes)
    return replace(
        blueprint, assumptions=tuple(notes.assumptions), nodes=tuple(nodes_of(blueprint, root, notes))
    )


def with_plan(blueprint: Blueprint, document: Document, loose: list[Tree], notes: Notes) -> Blueprint:
    """The blueprint with what shapes the build."""
    root = document.root
    comments: dict[str, list[str]] = {}
    for comment in document.comments:
        comments.setdefault(comment.path, []).append(comment.text)
    agents = find_agent_hints(document.comments, {leaf.path for leaf in leaves(root)})
    technology = [block for tree in loose for _, block in find_blocks(tree, "technology")]
    top = root.get("technology")
    return replace(
        blueprint,
        constraints=read_rounds(
            root.get("meta", "_meta"), read_constraints(root.get("constraints"), notes), notes
        ),
        behaviours=read_behaviours(root.get("behaviors"), notes),
        phases=read_phases(root.get("phases"), comments, notes),
        hints=read_hints(root, agents, notes),
        technology=read_technology([top, *technology] if top is not None else technology, notes),
        deliverables=deliverable_files(root.get("deliverables")),
        do_not_build=read_list(root.get("do_not_build"), "do_not_build", notes),
        references=read_list(root.get("reference_implementations"), "reference", notes),
    )


def check_top(root: Mapping, notes: Notes) -> None:
    """Refuse other versions of the language; warn of a top-level key that looks like a misspelt known one."""
    for entry in root.entries:
        key = entry.key.text
        if key not in TYPED and key not in OTHERS:
            hint = nearest(key, [*TYPED, *OTHERS]) if len(key) > 3 else ""
            if hint and close(key, hint):
                notes.warn(
                    "unknown-key",
                    f"{key!r} means nothing here; it is kept as not understood.",
                    entry.key,
                    hint,
                )
    version = root.get("factory")
    if version is not None:
        notes.claim(version, "version")
        if not (isinstance(version, Scalar) and version.value == 1):
            notes.error("version", "Only version 1 of the language is known.", version, "Write: factory: 1")


def close(key: str, hint: str) -> bool:
    """Whether a key differs from the suggested word by very little."""
    word = hint.removeprefix("Did you mean ").removesuffix("?")
    return abs(len(word) - len(key)) <= 2 and word[:2] == key[:2].lower()


def tables(loose: list[Tree]) -> Iterator[Tree]:
    """The ``tables`` blocks below the top level, if they look like tables at all."""
    for tree in loose:
        for _, block in find_blocks(tree, "tables"):
            if table_like(block):
                yield block


def table_like(block: Tree) -> bool:
    """Whether a block names tables with columns."""
    if isinstance(block, Sequence):
        return bool(block.items) and all(
            isinstance(item, Mapping) and table_like(item) for item in block.items
        )
    return isinstance(block, Mapping) and all(not isinstance(entry.value, Scalar) for entry in block.entries)


def all_requirements(root: Mapping, notes: Notes) -> list[Requirement]:
    """The declared requirements and those of the seed's dialect, each id once."""
    found = read_requirements(root.get("requirements"), notes)
    for name in REQUIRED_SECTIONS:
        section = root.get(name)
        found += read_leaves(section, notes) if section is not None else []
    return list({requirement.id: requirement for requirement in reversed(found)}.values())[::-1]


def paths_of(entities: dict[str, Entity], endpoints: tuple[Endpoint, ...]) -> set[str]:
    """The first segments of all paths that answer; none when there are no entities to speak of."""
    if not entities:
        return set()
    declared = {"/" + endpoint.path.split("/")[1] for endpoint in endpoints}
    return {entity.path for entity in entities.values()} | declared | {f"/{path}" for path in RESERVED_PATHS}


def rows_of(entities: dict[str, Entity], endpoints: tuple[Endpoint, ...]) -> dict[str, Entity | None]:
    """The entity whose row a call takes or answers; None where the call is declared to do something else."""
    calls: dict[str, Entity | None] = {}
    for entity in entities.values():
        one = f"{entity.path}/{{id}}"
        calls |= dict.fromkeys((f"POST {entity.path}", f"GET {one}", f"PATCH {one}"), entity)
    other = [each for each in endpoints if each.call in (CrudCall.ACTION, CrudCall.STUB)]
    return calls | dict.fromkeys(f"{endpoint.method} {endpoint.path}" for endpoint in other)


def parts_of(blueprint: Blueprint, entities: dict[str, Entity]) -> set[str]:
    """Everything a requirement may say it is done ``by``."""
    fields = {f"{entity.name}.{field.name}" for entity in entities.values() for field in entity.fields}
    calls = {f"{endpoint.method} {endpoint.path}" for endpoint in blueprint.endpoints}
    crud = {
        call
        for entity in entities.values()
        for call in (
            *(f"{method} {entity.path}" for method in ("GET", "POST")),
            *(f"{method} {entity.path}/{{id}}" for method in ("GET", "PATCH", "DELETE")),
        )
    }
    named = {view.name for view in blueprint.views} | {case.name for case in blueprint.acceptance}
    return set(entities) | fields | calls | crud | named


def nodes_of(blueprint: Blueprint, root: Mapping, notes: Notes) -> Iterator[Node]:
    """Every leaf and every agent hint of the document, once, in the order of lines."""
    found = [
        Node(path=leaf.path, line=leaf.line, part=notes.parts.get(leaf.path, "")) for leaf in leaves(root)
    ]
    found = [node for node in found if node.path]  # an empty document has no nodes
    yield from sorted([*found, *hint_nodes(blueprint.hints.agents)], key=lambda node: node.line)
