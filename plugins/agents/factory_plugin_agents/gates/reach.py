"""What a test can reach: all that its verdict follows from, as a digest that pieces of gates are remembered under.

A contract test of an entity reaches the entity, what refers to it, all that these refer to, and what every part of the
service shares. An acceptance case reaches what the tests of the entities do that its steps call. The lists that put the
service together (``__init__.py`` of a package) name every entity and are left out: they run when the application is
imported, in every build. That a test ran nothing beyond its reach is measured whenever it runs, and one that did is not
remembered.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct

from factory_core.contracts.agent import Tools, Work
from factory_core.contracts.blueprint import Blueprint

from ..acceptance import CaseView, case_views
from ..actions import ActionView, action_views
from ..context import EntityView, entity_views

__all__ = ["Reach", "reaches"]

CONTRACTS, CASES = "tests/contract/test_", "tests/acceptance/test_"
PACKAGED = 3
"""Parts of a path such as ``app/routes/card.py``."""


class Reach(Struct, frozen=True, kw_only=True):
    """``files`` are those of the application; the digest is over them, the test, what tests share, and the template with
    its toolchain."""

    digest: str
    files: frozenset[str]

    def holds(self, lines: Mapping[str, list[int]], imported: Mapping[str, list[int]]) -> bool:
        """Whether a test that covered these lines stayed within; importing a file is no step outside."""
        return all(
            path in self.files or set(numbers) <= set(imported.get(path, ()))
            for path, numbers in lines.items()
        )


async def reaches(work: Work, tools: Tools) -> dict[str, Reach]:
    """``path of a test -> its reach``, for those made for an entity or an action of the blueprint, and for the acceptance
    cases that call nothing else."""
    entities = entity_views(work.blueprint)
    actions = action_views(work.blueprint, entities)
    modules, owners = _rings(work.blueprint, entities, actions), _owners(entities, actions)
    rings = {f"{CONTRACTS}{module}.py": ring for module, ring in modules.items()}
    by_path = {view.path: _around(view, actions, modules) for view in entities}
    rings |= {
        f"{CASES}{view.slug}.py": ring
        for view in case_views(work.blueprint)
        if (ring := _called(view, by_path)) is not None
    }
    refs = {ref.path: ref for ref in work.inputs}
    shared = _Shared(
        {
            path: (await tools.read(ref)).decode()
            for path, ref in refs.items()
            if _is_shared_test(path) and path.endswith(".py")
        }
    )
    found: dict[str, Reach] = {}
    for path, ref in refs.items():
        ring = rings.get(path)
        if ring is not None:
            own = [other for other in refs if _within(other, ring, owners)]
            test = (await tools.read(ref)).decode()
            facts = [
                work.template.digest,
                [(other, refs[other].digest) for other in sorted([*own, *_settings(refs)])],
                (path, ref.digest),
                shared.used_by(test),
            ]
            digest = hashlib.sha256(msgspec.json.encode(facts)).hexdigest()
            found[path] = Reach(digest=digest, files=frozenset(own))
    return found


def _is_shared_test(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    return folder == "tests" and not name.startswith("test_")


def _settings(refs: Iterable[str]) -> list[str]:
    return [path for path in refs if path == "pyproject.toml"]


def _within(path: str, ring: frozenset[str], owners: Mapping[str, str]) -> bool:
    parts = path.split("/")
    if parts[0] != "app":
        return False
    if len(parts) < PACKAGED:
        return True
    owner = owners.get(parts[-1].removesuffix(".py"))
    return parts[-1] != "__init__.py" and (owner is None or owner in ring)


def _owners(entities: Iterable[EntityView], actions: Iterable[ActionView]) -> dict[str, str]:
    """``module -> entity``."""
    return {view.module: view.name for view in entities} | {
        action.module: action.entity.name for action in actions
    }


def _rings(
    blueprint: Blueprint, entities: Iterable[EntityView], actions: Iterable[ActionView]
) -> dict[str, frozenset[str]]:
    """``module -> entities that its test may make rows of``."""
    targets = {
        entity.name: {field.target for field in entity.fields if field.target}
        for entity in blueprint.entities
    }
    referring = {
        name: {other for other, named in targets.items() if name in named} | {name} for name in targets
    }
    rings = {view.module: _closed(referring[view.name], targets) for view in entities}
    for action in actions:
        near = referring[action.entity.name] | {action.returns.name}
        near |= {action.creates.name} if action.creates else set()
        near |= {field.field.target for field in action.body if field.field.target}
        rings[action.module] = _closed(near, targets)
    return rings


def _around(
    view: EntityView, actions: Iterable[ActionView], rings: Mapping[str, frozenset[str]]
) -> frozenset[str]:
    """What calls of an entity and of its actions may meet."""
    return rings[view.module].union(
        *(rings[action.module] for action in actions if action.entity.name == view.name)
    )


def _called(view: CaseView, by_path: Mapping[str, frozenset[str]]) -> frozenset[str] | None:
    """What the steps of a case may meet; None when one of them calls something that belongs to no entity."""
    found: set[str] = set()
    for step in view.case.steps:
        path = step.path.partition("?")[0]
        rings = [ring for start, ring in by_path.items() if f"{path}/".startswith(f"{start}/")]
        if not rings:
            return None
        found.update(*rings)
    return frozenset(found)


def _closed(names: Iterable[str], targets: Mapping[str, set[str]]) -> frozenset[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += targets.get(name, ())
    return frozenset(found)


class _Shared:
    """The modules that tests share. Of each, a test follows from the definitions that it or another of them uses."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._trees = {path: ast.parse(source) for path, source in sorted(sources.items())}

    def used_by(self, test: str) -> list[tuple[str, str]]:
        """Path and code of what matters to a test."""
        trees = [ast.parse(test), *self._trees.values()]
        return [(path, _needed(tree, _imported(path, trees))) for path, tree in self._trees.items()]


def _imported(path: str, trees: Iterable[ast.Module]) -> frozenset[str] | None:
    """The names that are imported from a module; None when it is not only imported by name, as pytest does conftest."""
    module = path.removesuffix(".py").replace("/", ".")
    names: set[str] = set()
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.ImportFrom) and node.module == module:
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.Import | ast.ImportFrom) and module in _modules(node):
            return None
    return None if "*" in names or path.endswith("conftest.py") else frozenset(names)


def _modules(node: ast.Import | ast.ImportFrom) -> set[str]:
    above = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
    return {above + alias.name for alias in node.names}


def _needed(tree: ast.Module, names: frozenset[str] | None) -> str:
    """The module without the functions and classes that nothing here leads to."""
    if names is None:
        return ast.dump(tree)
    defined = {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    hidden = {id(node) for node in defined.values()}
    always = [node for node in tree.body if id(node) not in hidden]
    waiting = [*names, *(name for node in always for name in _mentioned(node))]
    kept: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in defined and name not in kept:
            kept.add(name)
            waiting += _mentioned(defined[name])
    used = [defined[name] for name in sorted(kept)]
    return ast.dump(ast.Module([*always, *used], []))


def _mentioned(node: ast.AST) -> list[str]:
    return [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]
