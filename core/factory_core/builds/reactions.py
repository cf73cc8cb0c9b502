"""What follows from how a task ended, as the spec's ``behaviors`` want it. Children come with the parent's commit."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from factory_core.builds.knowledge import BuildKnowledge
from factory_core.builds.record import TaskRecord
from factory_core.builds.rounds import (
    AUDIT,
    CONFIRM,
    DEBUGGER,
    OPTIMIZER,
    RETRY,
    VERIFY,
    Round,
    better,
    is_check,
    rounds_promised,
)
from factory_core.builds.schemas import Assignment
from factory_core.contracts.agent import AGAIN, FindingLevel, Spawn
from factory_core.planning import TRIES, army_of, integrating_task, switched_on, verifying_tasks
from factory_core.planning.slugs import words

__all__ = ["Reaction", "audited", "is_audit", "react"]

TESTER, TIDY = "tester", "tidy"
AUDITOR = "auditor"
MOST_FINDINGS, MOST_NAMED, LONGEST_DETAIL = 40, 5, 2000
RISKY = frozenset({"security", "audit"})


class Reaction(Struct, frozen=True, kw_only=True):
    """Tasks to add, and why a person must decide before anything else starts."""

    spawn: tuple[Spawn, ...] = ()
    halt: str = ""
    risk: str = ""
    """Why that must be so if there is no room for the tasks."""


class _Failure(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a debugger is told."""

    gate: str = ""
    task: str = ""
    said: str = ""
    findings: tuple[tuple[str, str, int, str], ...] = ()
    """``code, path, line, message``."""


def react(
    known: BuildKnowledge,
    assignment: Assignment,
    record: TaskRecord,
    closed: Round | None,
    beside: Sequence[TaskRecord],
    fixed: TaskRecord | None = None,
) -> Reaction:
    """``closed`` is the round that the task closes, ``beside`` the records of its other checks, ``fixed`` its fixer's."""
    risk = _risk(record) if "on_security_risk" in switched_on(known.blueprint) else ""
    if is_audit(assignment):
        return Reaction(halt=audited(assignment, record))
    follow = _follow(known, assignment, record, closed, beside, fixed)
    # Whoever decides is told what an audit of all files finds; without one to ask, the build halts at once.
    if risk and "on_security_risk" in known.plan.behaviours and assignment.agent != AUDITOR:
        return Reaction(spawn=(_audit(risk), *follow), risk=risk)
    return Reaction(spawn=follow, halt=risk)


def _follow(
    known: BuildKnowledge,
    assignment: Assignment,
    record: TaskRecord,
    closed: Round | None,
    beside: Sequence[TaskRecord],
    fixed: TaskRecord | None,
) -> tuple[Spawn, ...]:
    """Who goes on with what the task left, whether a person must decide about it or not."""
    promised = known.plan.behaviours
    if record.failure:
        return _recover(assignment, record) if "on_failure" in promised else ()
    if closed is not None:
        return _next_round(known, assignment, [*beside, record], fixed)
    again = _recheck(known, assignment, record) if "on_failure" in promised else ()
    if again:
        return again
    integrates = _first_try(assignment.task) == integrating_task(known.plan.tasks, known.template)
    return _army(known, assignment) if "on_integration" in promised and integrates else ()


def _first_try(task: str) -> str:
    """The task that this one is a later try of; itself when it is none. What a try called is no try."""
    while task.endswith(f"/{RETRY}/1"):
        task = task.removesuffix(f"/{RETRY}/1")
    return task


def is_audit(assignment: Assignment) -> bool:
    """Whether a halt waits for it."""
    return f"/{AUDIT}/" in assignment.task


def _audit(risk: str) -> Spawn:
    return Spawn(
        behaviour=AUDIT,
        n=1,
        agent=AUDITOR,
        title="Audit everything before a person decides",
        params={"because": risk[:LONGEST_DETAIL]},
        scope="project",
    )


def audited(assignment: Assignment, record: TaskRecord) -> str:
    """The reason of a halt: what was found first, then what the audit found."""
    loud = [one for one in record.findings if one.level is not FindingLevel.INFO]
    gates = [f"{gate.name}: {gate.figure}" for gate in record.gates]
    found = [f"{one.path}:{one.line} {one.message}" for one in loud[:MOST_NAMED]]
    said = "; ".join([*gates, *found]) or record.failure or "nothing more"
    return f"{assignment.params.get('because', '')}. The audit says: {said}"


def _risk(record: TaskRecord) -> str:
    """Why a build must not go on by itself: a gate about security failed, or a secret was found."""
    if not any(not gate.passed and words(gate.name) & RISKY for gate in record.gates):
        return ""
    found = [
        f"{one.path}:{one.line} {one.message}" for one in record.findings if one.level is FindingLevel.ERROR
    ]
    gates = [f"{gate.name}: {gate.figure}" for gate in record.gates if not gate.passed]
    return "; ".join([*gates, *found[:MOST_NAMED]])


def _recover(assignment: Assignment, record: TaskRecord) -> tuple[Spawn, ...]:
    """An agent gave up, or a track could not be merged: the debugger looks for a way, then the task is tried again."""
    tries = assignment.task.count(f"/{RETRY}/")
    if tries >= TRIES or f"/{DEBUGGER}/" in assignment.task:
        return ()
    failures = _failures(record) or [_Failure(task=assignment.task, said=record.failure[:LONGEST_DETAIL])]
    return (_debugger(failures), _retry(assignment, assignment.params))


def _recheck(known: BuildKnowledge, assignment: Assignment, record: TaskRecord) -> tuple[Spawn, ...]:
    """A gate is red that is no check of a round, such as a mesh's: the debugger corrects, and it is asked once more."""
    failures = _failures(record)
    tries = assignment.task.count(f"/{RETRY}/")
    if not failures or tries >= TRIES or is_check(assignment.task, known):
        return ()
    # Optional, so that the checks run also when there is no correction: the gate that stays red fails the build.
    retry = _retry(assignment, {**assignment.params, AGAIN: str(tries + 1)})
    return (replace(_debugger(failures), optional=True), replace(retry, optional=True))


def _retry(assignment: Assignment, params: dict[str, str]) -> Spawn:
    return Spawn(
        behaviour=RETRY,
        n=1,
        agent=assignment.agent,
        title=f"Try again: {assignment.title}",
        params=params,
        after=(f"{DEBUGGER}/1",),
    )


def _next_round(
    known: BuildKnowledge, assignment: Assignment, records: Sequence[TaskRecord], fixed: TaskRecord | None
) -> tuple[Spawn, ...]:
    promised = known.plan.behaviours
    failures = [failure for record in records for failure in _failures(record)]
    done = assignment.task.count(f"/{CONFIRM}/")
    if done:
        # One more round only after one that was kept: what changed nothing once changes nothing twice.
        good = not failures and fixed is not None and bool(fixed.files) and better(fixed)
        return _optimised(known, done + 1) if good and done < rounds_promised(known) else ()
    if failures:
        tries = assignment.task.count(f"/{VERIFY}/")
        if "on_failure" not in promised or tries >= TRIES:
            return ()
        return (_debugger(failures), *_checks(known, VERIFY, f"{DEBUGGER}/1", optional=False))
    return _optimised(known, 1) if "on_success" in promised else ()


def _optimised(known: BuildKnowledge, number: int) -> tuple[Spawn, ...]:
    optimizer = Spawn(
        behaviour=OPTIMIZER,
        n=1,
        agent="optimizer",
        title="Improve what passed" if number == 1 else f"Improve what passed, round {number}",
        params={"round": str(number)},
        scope="project",
        optional=True,
    )
    return (optimizer, *_checks(known, CONFIRM, f"{OPTIMIZER}/1", optional=True))


def _debugger(failures: Sequence[_Failure]) -> Spawn:
    return Spawn(
        behaviour=DEBUGGER,
        n=1,
        agent="debugger",
        title="Find the cause of the failure and correct it",
        params={"failures": msgspec.json.encode(failures).decode()},
        scope="project",
    )


def _failures(record: TaskRecord) -> list[_Failure]:
    findings = tuple((one.code, one.path, one.line, one.message) for one in record.findings[:MOST_FINDINGS])
    found = [
        _Failure(gate=gate.name, said=f"{gate.figure}\n{gate.detail}"[-LONGEST_DETAIL:], findings=findings)
        for gate in record.gates
        if not gate.passed
    ]
    cases = [
        _Failure(gate=f"case {one.name}", said=one.detail[-LONGEST_DETAIL:])
        for one in record.cases
        if not one.passed
    ]
    return found + cases


def _checks(known: BuildKnowledge, behaviour: str, fixer: str, *, optional: bool) -> list[Spawn]:
    """All checks once more, with the parameters they had, each after those it stood after: what nothing changed for is
    remembered, not run. The last closes the round, so it stands after all."""
    tasks = {task.id: task for task in known.plan.tasks}
    names = verifying_tasks(known.plan.tasks, known.template)
    numbers = {name: number for number, name in enumerate(names, 1)}
    return [
        Spawn(
            behaviour=behaviour,
            n=number,
            agent=tasks[name].agent,
            title=f"{tasks[name].title}, again",
            params=tasks[name].params,
            scope=tasks[name].scope,
            after=(
                fixer,
                *(
                    f"{behaviour}/{numbers[other]}"
                    for other in (names[:-1] if number == len(names) else tasks[name].after)
                    if other in numbers
                ),
            ),
            optional=optional,
        )
        for name, number in numbers.items()
    ]


def _army(known: BuildKnowledge, assignment: Assignment) -> tuple[Spawn, ...]:
    """A tester for every node, then the integrator once more over what they wrote."""
    testers = [
        Spawn(
            behaviour=TESTER,
            n=number,
            agent=task.agent,
            title=task.title,
            params=task.params,
            scope=task.scope,
        )
        for number, task in enumerate(army_of(known.blueprint, known.template), 1)
    ]
    tidy = Spawn(
        behaviour=TIDY,
        n=1,
        agent=assignment.agent,
        title=f"{assignment.title}, once more",
        params=assignment.params,
        after=tuple(f"{TESTER}/{one.n}" for one in testers),
    )
    return (*testers, tidy) if testers else ()
