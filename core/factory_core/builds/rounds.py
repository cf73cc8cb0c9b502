"""Rounds of verification: the planned one, and one more after each correction or optimisation.

Spawned by the task that closes a round: ``audit/debugger/1`` with ``audit/verify/1`` … or ``audit/optimizer/1`` with
``audit/confirm/1`` …; a round's last task closes it in turn. What is delivered is the tree of the last round that passed."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from msgspec import Struct

from factory_core.builds.knowledge import BuildKnowledge
from factory_core.builds.record import TaskRecord
from factory_core.contracts.agent import Finding, FindingLevel
from factory_core.contracts.events import TaskState
from factory_core.planning import verifying_tasks

__all__ = [
    "AUDIT",
    "CONFIRM",
    "DEBUGGER",
    "OPTIMIZER",
    "RETRY",
    "VERIFY",
    "Round",
    "Verified",
    "planned_check",
    "round_of",
    "settle_rounds",
    "tries_of",
]

DEBUGGER, VERIFY, RETRY = "debugger", "verify", "retry"
OPTIMIZER, CONFIRM = "optimizer", "confirm"
AUDIT = "audit"
_FIXERS = {VERIFY: DEBUGGER, CONFIRM: OPTIMIZER}


class Round(Struct, frozen=True, kw_only=True):
    """``checks`` verify what there is after ``fixer``, which is empty for the planned round."""

    checks: tuple[str, ...]
    fixer: str = ""

    @property
    def closing(self) -> str:
        """The task that ends when the round has."""
        return self.checks[-1]

    def passed(self, records: Mapping[str, TaskRecord]) -> bool:
        """Whether every check ended and nothing failed. ``records`` holds the tasks that are done."""
        done = [records[task] for task in self.checks if task in records]
        return len(done) == len(self.checks) and not _failures(done)


class Verified(Struct, frozen=True, kw_only=True):
    """What the rounds leave: tasks whose results do not count, and what is told of them."""

    dropped: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()


def round_of(task: str, known: BuildKnowledge) -> Round | None:
    """The round that this task closes; None for all others."""
    planned = verifying_tasks(known.plan.tasks, known.template)
    if planned and task == planned[-1]:
        return Round(checks=planned)
    for behaviour, fixer in _FIXERS.items():
        parent, found, number = task.rpartition(f"/{behaviour}/")
        if found and number == str(len(planned)):
            checks = tuple(f"{parent}/{behaviour}/{n}" for n in range(1, len(planned) + 1))
            return Round(checks=checks, fixer=f"{parent}/{fixer}/1")
    return None


def planned_check(task: str, known: BuildKnowledge) -> str:
    """The planned task that this one does again in a later round; itself for all others."""
    if known.task(task) is None:
        planned = verifying_tasks(known.plan.tasks, known.template)
        for behaviour in _FIXERS:
            _, found, number = task.rpartition(f"/{behaviour}/")
            if found and number.isdecimal() and 0 < int(number) <= len(planned):
                return planned[int(number) - 1]
    return task


def settle_rounds(
    known: BuildKnowledge, states: Mapping[str, TaskState], records: Mapping[str, TaskRecord]
) -> Verified:
    """Choose the round that counts: the last that passed, else the last that came to its end, else the planned one."""
    there = set(states)
    planned = verifying_tasks(known.plan.tasks, known.template)
    merges = settle_merges(known, states, records)
    if not planned:
        return merges
    rounds = [Round(checks=planned)]
    while (following := _after(rounds[-1], there, len(planned))) is not None:
        rounds.append(following)
    ended = [each for each in rounds if all(task in records for task in each.checks)]
    chosen = next((each for each in reversed(rounds) if each.passed(records)), (ended or rounds[:1])[-1])
    place = rounds.index(chosen)
    dropped = {task for each in rounds if each is not chosen for task in each.checks}
    # A fixer that had nothing to offer is the last word of a failed build, so what it says stays.
    dropped |= {each.fixer for each in rounds[place + 1 :] if chosen.passed(records)}
    # What an audit found is said with the halt; the round's own audit looks at what is delivered.
    dropped |= {task for task in records if f"/{AUDIT}/" in task}
    findings = [
        _told(number, each, records, place) for number, each in enumerate(rounds) if each is not chosen
    ]
    told = (*merges.findings, *(one for one in findings if one is not None))
    return Verified(dropped=merges.dropped | dropped, findings=told)


def tries_of(task: str, names: Container[str]) -> tuple[str, ...]:
    """The task and its later tries, as far as there are any."""
    tries = [task]
    while f"{tries[-1]}/{RETRY}/1" in names:
        tries.append(f"{tries[-1]}/{RETRY}/1")
    return tuple(tries)


def settle_merges(
    known: BuildKnowledge, states: Mapping[str, TaskState], records: Mapping[str, TaskRecord]
) -> Verified:
    """Only the last try of each merge that came to be counts; why the earlier ones failed is told."""
    names = {task for task, state in states.items() if state not in (TaskState.SKIPPED, TaskState.CANCELLED)}
    dropped: set[str] = set()
    findings: list[Finding] = []
    for track in known.plan.tracks:
        *earlier, _ = tries_of(track.merge, names)
        dropped |= {*earlier}
        for task in earlier:
            failed = _failures([records[task]]) if task in records else []
            said = f"The track {track.name} was not merged at first: {'; '.join(failed) or 'it failed'}."
            findings.append(Finding(level=FindingLevel.INFO, code="merge-tried-again", message=said))
    return Verified(dropped=frozenset(dropped), findings=tuple(findings))


def _after(before: Round, there: set[str], checks: int) -> Round | None:
    for behaviour, fixer in _FIXERS.items():
        if f"{before.closing}/{behaviour}/1" in there:
            return Round(
                checks=tuple(f"{before.closing}/{behaviour}/{n}" for n in range(1, checks + 1)),
                fixer=f"{before.closing}/{fixer}/1",
            )
    return None


def _told(number: int, each: Round, records: Mapping[str, TaskRecord], chosen: int) -> Finding | None:
    failed = _failures([records[task] for task in each.checks if task in records])
    absent = [task for task in (each.fixer, *each.checks) if task and task not in records]
    if not failed and not (absent and number > chosen):
        return None
    said = f"Round {number + 1} of verification "
    said += (
        f"failed: {'; '.join(failed[:5])}."
        if failed
        else f"did not come to its end: {absent[0]} is not done."
    )
    if number > chosen:
        said += f" What {each.fixer} had changed is not kept."
    return Finding(level=FindingLevel.INFO, code="verification-round", message=said)


def _failures(records: Sequence[TaskRecord]) -> list[str]:
    gates = [
        f"gate {gate.name}: {gate.figure or 'failed'}" for r in records for gate in r.gates if not gate.passed
    ]
    return gates + [f"case {case.name!r}" for record in records for case in record.cases if not case.passed]
