"""How each requirement and each line of the spec ended (spec_format, "Requirements and acceptance")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from factory_core.contracts.blueprint import (
    Endpoint,
    Field,
    Node,
    NodeState,
    RequirementState,
    Rule,
    StateMachine,
    View,
)
from factory_core.planning import switched_on
from factory_core.planning.slugs import words

from .evidence import Evidence, Part, Proof
from .products import unmet_technology
from .report import NodeRow, RequirementRow

__all__ = ["node_rows", "requirement_rows"]

_LISTED = 4
_GATES_BY_CONSTRAINT = {"min_test_coverage": "coverage", "security_audit": "security"}
"""Constraints that a gate enforces, with the word its name holds."""
_ENFORCED = frozenset({"max_agents", "max_build_time", "budget", "target_loc", "optimization_rounds"})
"""Constraints that planner and engine keep, or that the report compares. ``budget`` is compared with the quote, before
anything starts (``BuildService.start``); the report says that nothing is counted after that."""

Verdict = tuple[RequirementState, tuple[str, ...]]


def requirement_rows(proof: Proof) -> tuple[RequirementRow, ...]:
    """Every requirement of the spec with its state and what that rests on."""
    rows: list[RequirementRow] = []
    for item in proof.blueprint.requirements:
        state, evidence = _judge(proof, item.id)
        rows.append(
            RequirementRow(id=item.id, text=item.text, line=item.line, state=state, evidence=evidence)
        )
    return tuple(rows)


def _judge(proof: Proof, requirement: str) -> Verdict:
    """What cases say counts before what code shows."""
    cases = proof.cases_of(requirement)
    results = {case.name: proof.result(case) for case in cases}
    said = tuple(f'case "{name}" {_ended(result)}' for name, result in results.items())
    code = tuple(path for part in proof.parts_of(requirement) for path in proof.code_of(part))
    if any(result is False for result in results.values()):
        return RequirementState.FAILED, said
    if results and all(results.values()):
        return RequirementState.PROVEN, (*said, *_code_said(code))
    state, evidence = _judge_parts(proof, proof.parts_of(requirement))
    if results and state is RequirementState.BUILT:
        return RequirementState.NOT_UNDERSTOOD, (*said, *evidence)
    return state, (*said, *evidence)


def _judge_parts(proof: Proof, parts: tuple[Part, ...]) -> Verdict:
    if not parts:
        return RequirementState.NOT_UNDERSTOOD, ("nothing in the spec is linked with it",)
    stubs = [part for part in parts if proof.stubbed(part)]
    if stubs:
        return RequirementState.STUBBED, tuple(f"{part.name} answers 501" for part in stubs)
    missing = [part for part in parts if not proof.code_of(part)]
    if missing:
        return RequirementState.NOT_UNDERSTOOD, tuple(f"no code was made for {part.name}" for part in missing)
    code = _code_said(tuple(path for part in parts for path in proof.code_of(part)))
    gates = tuple(f"gate {gate.name} {_ended(gate.passed)}" for gate in proof.contract)
    if not all(proof.contract_holds(part) for part in parts):
        return RequirementState.NOT_UNDERSTOOD, (*(gates or ("no contract tests ran",)), *code)
    if not proof.contract_passed:
        own = dict.fromkeys(path for part in parts for path in proof.tests_of(part))
        gates = (f"its own tests passed: {', '.join(own)}",)
    return RequirementState.BUILT, (*gates, *code)


def _ended(passed: bool | None) -> str:
    return "did not run" if passed is None else "passed" if passed else "failed"


def _code_said(paths: tuple[str, ...]) -> tuple[str, ...]:
    listed = tuple(dict.fromkeys(paths))
    more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    return (f"code: {', '.join(listed[:_LISTED])}{more}",) if listed else ()


def node_rows(proof: Proof, requirements: tuple[RequirementRow, ...]) -> tuple[NodeRow, ...]:
    """Every node of the spec once, in the document's order."""
    judges = _judges(proof, {row.id: row.state for row in requirements})
    return tuple(
        NodeRow(path=node.path, line=node.line, state=_state_of(node, proof.evidence, judges))
        for node in proof.blueprint.nodes
    )


Judge = Callable[[str], NodeState]


def _state_of(node: Node, evidence: Evidence, judges: Mapping[str, Judge]) -> NodeState:
    kind, _, name = node.part.partition(":")
    judge = judges.get(kind)
    state = NodeState.NOT_UNDERSTOOD if judge is None else judge(name)
    applied = state is NodeState.NOT_UNDERSTOOD and node.path in evidence.plan.applied
    return NodeState.APPLIED if applied else state


def _judges(proof: Proof, requirements: Mapping[str, RequirementState]) -> dict[str, Judge]:
    """What decides about a node, by the first word of its ``part``."""
    unmet = {row.name for row in unmet_technology(proof.evidence)}
    return {
        "entity": partial(_by_entity, proof, requirements),
        "field": partial(_by_entity, proof, requirements),
        "states": partial(_by_entity, proof, requirements),
        "rule": partial(_by_rule, proof, requirements),
        "endpoint": partial(_by_endpoint, proof, requirements),
        "view": partial(_by_view, proof, requirements),
        "role": lambda _: _by_code(proof, Part("project", "")),
        "project": lambda _: _by_code(proof, Part("project", "")),
        "requirement": lambda name: _node_state(requirements.get(name)),
        "case": partial(_by_case, proof),
        "constraint": partial(_by_constraint, proof),
        "technology": lambda name: (
            NodeState.NOT_UNDERSTOOD if name in unmet else _by_code(proof, Part("project", ""))
        ),
        "version": lambda _: NodeState.APPLIED,
    }


def _node_state(state: RequirementState | None) -> NodeState:
    return NodeState.NOT_UNDERSTOOD if state is None else NodeState(state.value)


def _by_code(proof: Proof, part: Part) -> NodeState:
    """Built when there is code and its contract tests passed. Only a case that names it can say that it failed."""
    if proof.stubbed(part):
        return NodeState.STUBBED
    built = proof.code_of(part) and proof.contract_holds(part)
    return NodeState.BUILT if built else NodeState.NOT_UNDERSTOOD


def _linked(
    proof: Proof, part: Part, linked: tuple[str, ...], requirements: Mapping[str, RequirementState]
) -> NodeState:
    """A part with requirements of its own ends as they do where cases decided, and by its code elsewhere."""
    states = {requirements.get(name) for name in linked}
    if RequirementState.FAILED in states:
        return NodeState.FAILED
    if states == {RequirementState.PROVEN}:
        return NodeState.PROVEN
    return _by_code(proof, part)


def _by_entity(proof: Proof, requirements: Mapping[str, RequirementState], name: str) -> NodeState:
    """``Card`` or ``Card.title``, as entity, field or state machine."""
    owner, _, field = name.partition(".")
    items: tuple[Field | StateMachine, ...] = tuple(
        item for item in proof.blueprint.states if item.entity == owner and item.field == field
    )
    linked: tuple[str, ...] = ()
    for entity in proof.blueprint.entities:
        if entity.name == owner:
            items += tuple(item for item in entity.fields if item.name == field)
            linked = () if field else entity.requirements
    linked += tuple(known for item in items for known in item.requirements)
    return _linked(proof, Part("entity", owner), linked, requirements)


def _by_rule(proof: Proof, requirements: Mapping[str, RequirementState], name: str) -> NodeState:
    """``Card: estimate >= 0``."""
    owner, _, text = name.partition(": ")
    rules: list[Rule] = [rule for rule in proof.blueprint.rules if (rule.entity, rule.text) == (owner, text)]
    linked = tuple(known for rule in rules for known in rule.requirements)
    return _linked(proof, Part("entity", owner), linked, requirements)


def _by_endpoint(proof: Proof, requirements: Mapping[str, RequirementState], name: str) -> NodeState:
    endpoints: list[Endpoint] = [
        item for item in proof.blueprint.endpoints if f"{item.method} {item.path}" == name
    ]
    linked = tuple(known for item in endpoints for known in item.requirements)
    part = proof.part_of_endpoint(endpoints[0]) if endpoints else proof.part_named(name)
    return _linked(proof, part or Part("endpoint", name), linked, requirements)


def _by_view(proof: Proof, requirements: Mapping[str, RequirementState], name: str) -> NodeState:
    views: list[View] = [view for view in proof.blueprint.views if view.name == name]
    linked = tuple(known for view in views for known in view.requirements)
    return _linked(proof, Part("view", name), linked, requirements)


def _by_case(proof: Proof, name: str) -> NodeState:
    results = [proof.result(case) for case in proof.blueprint.acceptance if case.name == name]
    if not results or None in results:
        return NodeState.NOT_UNDERSTOOD
    return NodeState.PROVEN if all(results) else NodeState.FAILED


def _by_constraint(proof: Proof, name: str) -> NodeState:
    word = _GATES_BY_CONSTRAINT.get(name)
    gates = [gate for gate in proof.evidence.gates if word is not None and word in words(gate.name)]
    if gates:
        return NodeState.BUILT if all(gate.passed for gate in gates) else NodeState.FAILED
    if name == "optimization_rounds" and proof.blueprint.constraints.optimization_rounds:
        known = "on_success" in switched_on(proof.blueprint)
        return NodeState.APPLIED if known else NodeState.NOT_UNDERSTOOD
    return NodeState.APPLIED if name in _ENFORCED else NodeState.NOT_UNDERSTOOD
