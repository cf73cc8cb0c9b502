"""What a report is made from, indexed by the questions it answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cached_property

from msgspec import Struct

from factory_core.contracts.agent import CaseResult, Finding, GateResult
from factory_core.contracts.blueprint import AcceptanceCase, Blueprint, CrudCall, Endpoint
from factory_core.contracts.files import FileRef
from factory_core.contracts.plan import Plan
from factory_core.contracts.template import Manifest, WorkSpec
from factory_core.planning.slugs import words

from .contribution import Contribution
from .report import AddedRow, FailureRow, OptimizationRow, TrackRow

__all__ = ["Evidence", "Part", "Proof"]

_NO_CODE = frozenset({"analyse", "test", "verify", "document", "deliver"})
"""Stages whose files are not the product's code."""


class Evidence(Struct, frozen=True, kw_only=True):
    """All that is known when a build ends. ``contributions`` are in the plan's order, without the report."""

    blueprint: Blueprint
    plan: Plan
    manifest: Manifest
    contributions: tuple[Contribution, ...] = ()
    gates: tuple[GateResult, ...] = ()
    cases: tuple[CaseResult, ...] = ()
    findings: tuple[Finding, ...] = ()
    failures: tuple[FailureRow, ...] = ()
    tracks: tuple[TrackRow, ...] = ()
    added: tuple[AddedRow, ...] = ()
    optimization: OptimizationRow | None = None
    release: tuple[FileRef, ...] = ()
    versions: dict[str, str] = {}


class Part(Struct, frozen=True):
    """A piece of the product that a spec line can be about: ``entity``, ``endpoint``, ``view`` or ``project``."""

    kind: str
    name: str


class Proof:
    """The evidence, ready to be asked."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.blueprint = evidence.blueprint

    @cached_property
    def contract(self) -> tuple[GateResult, ...]:
        """The gates that ran the contract tests: those so named, or else every gate that ran tests."""
        named = [gate for gate in self.evidence.gates if "contract" in words(gate.name)]
        return tuple(named or (gate for gate in self.evidence.gates if "test" in words(gate.name)))

    @property
    def contract_passed(self) -> bool:
        """Whether contract tests ran and passed."""
        return bool(self.contract) and all(gate.passed for gate in self.contract)

    def contract_holds(self, part: Part) -> bool:
        """Whether the contract tests passed or, where the gates tell which files failed, at least those of the part."""
        red = [gate for gate in self.contract if not gate.passed]
        if not red:
            return bool(self.contract)
        own = self.tests_of(part)
        return bool(own) and all(gate.paths and set(gate.paths).isdisjoint(own) for gate in red)

    def tests_of(self, part: Part) -> tuple[str, ...]:
        """The files of tests that were made for a part alone."""
        return self._tests.get(part, ())

    def result(self, case: AcceptanceCase) -> bool | None:
        """Whether the case passed; None when it did not run."""
        ends = self._results.get(case.name)
        return None if ends is None else all(end.passed for end in ends)

    def failed(self, case: AcceptanceCase) -> CaseResult | None:
        """The first failure of the case; None when there is none."""
        return next((end for end in self._results.get(case.name, ()) if not end.passed), None)

    def cases_of(self, requirement: str) -> Sequence[AcceptanceCase]:
        """The cases that name a requirement, or that it names itself."""
        return self._cases.get(requirement, ())

    def parts_of(self, requirement: str) -> tuple[Part, ...]:
        """What the spec links with a requirement, from either side, each once."""
        named = (self.part_named(name) for name in self._by.get(requirement, ()))
        return tuple(dict.fromkeys([*self._linked.get(requirement, ()), *(part for part in named if part)]))

    def part_named(self, name: str) -> Part | None:
        """What ``Card``, ``Card.board``, ``POST /cards/{id}/finish`` or the name of a view stands for."""
        if name in self._endpoints:
            return self.part_of_endpoint(self._endpoints[name])
        owner = name.partition(".")[0]
        for entity in self.blueprint.entities:
            crud = (entity.path, f"{entity.path}/{{id}}")
            if owner == entity.name or name.partition(" ")[2] in crud:
                return Part("entity", entity.name)
        return Part("view", name) if any(view.name == name for view in self.blueprint.views) else None

    def part_of_endpoint(self, endpoint: Endpoint) -> Part:
        """The endpoint itself, or its entity when it is plain CRUD."""
        if endpoint.call in (CrudCall.ACTION, CrudCall.STUB) or endpoint.entity is None:
            return Part("endpoint", f"{endpoint.method} {endpoint.path}")
        return Part("entity", endpoint.entity)

    def stubbed(self, part: Part) -> bool:
        """Whether it is an endpoint that answers 501."""
        endpoint = self._endpoints.get(part.name)
        return part.kind == "endpoint" and endpoint is not None and endpoint.call is CrudCall.STUB

    def code_of(self, part: Part) -> tuple[str, ...]:
        """The generated code of a part. What the template has no work of its own for is looked for one level up."""
        if any(work.each == part.kind for work in self._building):
            return self._code.get(part, ())
        if part.kind == "endpoint" and part.name in self._endpoints:
            entity = self._endpoints[part.name].entity
            return self.code_of(Part("entity", entity) if entity is not None else Part("project", ""))
        return () if part.kind == "project" else self.code_of(Part("project", ""))

    @cached_property
    def _by(self) -> dict[str, tuple[str, ...]]:
        return {item.id: item.by for item in self.blueprint.requirements}

    @cached_property
    def _cases(self) -> dict[str, list[AcceptanceCase]]:
        named: dict[str, list[str]] = {}
        for requirement, names in self._by.items():
            for name in names:
                named.setdefault(name, []).append(requirement)
        cases: dict[str, list[AcceptanceCase]] = {}
        for case in self.blueprint.acceptance:
            for requirement in dict.fromkeys([*case.requirements, *named.get(case.name, ())]):
                cases.setdefault(requirement, []).append(case)
        return cases

    @cached_property
    def _results(self) -> dict[str, list[CaseResult]]:
        results: dict[str, list[CaseResult]] = {}
        for case in self.evidence.cases:
            results.setdefault(case.name, []).append(case)
        return results

    @cached_property
    def _endpoints(self) -> dict[str, Endpoint]:
        return {f"{item.method} {item.path}": item for item in self.blueprint.endpoints}

    @cached_property
    def _linked(self) -> dict[str, list[Part]]:
        linked: dict[str, list[Part]] = {}
        for part, requirements in self._links():
            for requirement in requirements:
                linked.setdefault(requirement, []).append(part)
        return linked

    def _links(self) -> Iterable[tuple[Part, tuple[str, ...]]]:
        for entity in self.blueprint.entities:
            part = Part("entity", entity.name)
            yield part, entity.requirements
            yield from ((part, field.requirements) for field in entity.fields)
        for item in (*self.blueprint.states, *self.blueprint.rules):
            yield Part("entity", item.entity), item.requirements
        for endpoint in self.blueprint.endpoints:
            yield self.part_of_endpoint(endpoint), endpoint.requirements
        for view in self.blueprint.views:
            yield Part("view", view.name), view.requirements

    @cached_property
    def _building(self) -> tuple[WorkSpec, ...]:
        return tuple(work for work in self.evidence.manifest.work if work.stage not in _NO_CODE)

    @cached_property
    def _code(self) -> dict[Part, tuple[str, ...]]:
        return self._made_by(self._building)

    @cached_property
    def _tests(self) -> dict[Part, tuple[str, ...]]:
        return self._made_by(work for work in self.evidence.manifest.work if work.stage == "test")

    def _made_by(self, works: Iterable[WorkSpec]) -> dict[Part, tuple[str, ...]]:
        kinds = {work.name: work.each for work in works}
        code: dict[Part, list[str]] = {}
        for task in self.evidence.plan.tasks:
            kind = kinds.get(task.params.get("work", ""))
            nodes = json.loads(task.params.get("nodes", "[]")) or [""]
            for node in nodes if kind is not None else ():
                code.setdefault(Part(str(kind), node), []).extend(self._files.get(task.id, ()))
        return {part: tuple(paths) for part, paths in code.items()}

    @cached_property
    def _files(self) -> dict[str, list[str]]:
        """Paths by planned task; what a task spawned counts as its own."""
        planned = {task.id for task in self.evidence.plan.tasks}
        files: dict[str, list[str]] = {}
        for made in self.evidence.contributions:
            owner = made.producer
            while owner not in planned and "/" in owner:
                owner = owner.rpartition("/")[0]
            files.setdefault(owner, []).extend(file.path for file in made.files)
        return files
