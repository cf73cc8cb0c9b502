"""Rounds of verification: the planned one, and one more after each correction or optimisation.

Spawned by the task that closes a round: ``audit/debugger/1`` with ``audit/verify/1`` … or ``audit/optimizer/1`` with
``audit/confirm/1`` …; a round's last task closes it in turn. What is delivered is the tree of the last round that passed."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from msgspec import Struct

from factory_core.builds.harvest.report import OptimizationRow
from factory_core.builds.knowledge import BuildKnowledge
from factory_core.builds.record import TaskRecord
from factory_core.contracts.agent import Finding, FindingLevel
from factory_core.contracts.events import TaskState
from factory_core.planning import switched_on, verifying_tasks

__all__ = [
    "AUDIT",
    "CONFIRM",
    "DEBUGGER",
    "OPTIMIZER",
    "OWN_BEHAVIOURS",
    "RETRY",
    "VERIFY",
    "Round",
    "Verified",
    "better",
    "is_check",
    "planned_check",
    "round_of",
    "rounds_promised",
    "settle_rounds",
    "tries_of",
]

DEBUGGER, VERIFY, RETRY = "debugger", "verify", "retry"
OPTIMIZER, CONFIRM = "optimizer", "confirm"
AUDIT = "audit"
OWN_BEHAVIOURS = frozenset({DEBUGGER, VERIFY, RETRY, OPTIMIZER, CONFIRM, AUDIT})
"""Names of tasks that only the studio itself adds: what they find counts as the verdict of the gates."""
_FIXERS = {VERIFY: DEBUGGER, CONFIRM: OPTIMIZER}


class Round(Struct, frozen=True, kw_only=True):
    """``checks`` verify what there is after ``fixer``, which is empty for the planned round."""

    checks: tuple[str, ...]
    fixer: str = ""

    @property
    def closing(self) -> str:
        """The task that ends when the round has."""
        return self.checks[-1]

    @property
    def optimises(self) -> bool:
        """Whether it confirms what an optimizer did."""
        return f"/{CONFIRM}/" in self.closing and self.fixer.endswith(f"/{OPTIMIZER}/1")

    def passed(self, records: Mapping[str, TaskRecord]) -> bool:
        """Whether every check ended and nothing failed, and what an optimizer changed is better for it. ``records`` holds
        the tasks that are done."""
        done = [records[task] for task in self.checks if task in records]
        return len(done) == len(self.checks) and not _failures(done) and not self.in_vain(records)

    def in_vain(self, records: Mapping[str, TaskRecord]) -> bool:
        """Whether an optimizer changed files and nothing measured became better by it."""
        fixed = records.get(self.fixer) if self.optimises else None
        return fixed is not None and bool(fixed.files) and not better(fixed)


class Verified(Struct, frozen=True, kw_only=True):
    """What the rounds leave: tasks whose results do not count, and what is told of them."""

    dropped: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()
    optimization: OptimizationRow | None = None
    """None where the spec asks for no optimisation."""


def better(record: TaskRecord) -> bool:
    """Whether an optimizer measured that something became less, and nothing more."""
    pairs = record.measures.values()
    return any(after < before for before, after in pairs) and all(after <= before for before, after in pairs)


def rounds_promised(known: BuildKnowledge) -> int:
    """Rounds of optimisation that the plan keeps agents for."""
    checks = len(verifying_tasks(known.plan.tasks, known.template))
    return known.plan.behaviours.get("on_success", 0) // (1 + checks)


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


def is_check(task: str, known: BuildKnowledge) -> bool:
    """Whether the task verifies in one of the rounds, whatever it does if tried again."""
    return planned_check(task, known) in verifying_tasks(known.plan.tasks, known.template)


def settle_rounds(
    known: BuildKnowledge, states: Mapping[str, TaskState], records: Mapping[str, TaskRecord]
) -> Verified:
    """Choose the round that counts: the last that passed, else the last that came to its end, else the planned one."""
    there = {task for task in states if known.task(task) is None}  # no later round is planned
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
    dropped |= {task for task in records if f"/{AUDIT}/" in task and known.task(task) is None}
    findings = [
        _told(number, each, records, place) for number, each in enumerate(rounds) if each is not chosen
    ]
    told = (*merges.findings, *(one for one in findings if one is not None))
    return Verified(
        dropped=merges.dropped | dropped, findings=told, optimization=_optimised(known, rounds, records)
    )


def _optimised(
    known: BuildKnowledge, rounds: Sequence[Round], records: Mapping[str, TaskRecord]
) -> OptimizationRow | None:
    asked = known.blueprint.constraints.optimization_rounds
    wished = "on_success" in switched_on(known.blueprint)
    if asked is None and not wished:
        return None
    begun = [each for each in rounds if each.optimises]
    done = [each for each in begun if each.closing in records]
    kept = [each for each in done if each.passed(records) and records[each.fixer].files]
    return OptimizationRow(
        asked=1 if asked is None else asked,
        done=len(done),
        kept=len(kept),
        ended=_why_no_more(known, begun, records)
        if wished
        else "no behaviour on_success asks for an optimizer",
    )


def _why_no_more(known: BuildKnowledge, begun: Sequence[Round], records: Mapping[str, TaskRecord]) -> str:
    """Why there was no further round of optimisation."""
    asked = known.blueprint.constraints.optimization_rounds
    if asked == 0:
        return "none was asked for"
    if not rounds_promised(known):
        return "the plan had no agents for it"
    if not begun:
        return "not everything passed before it"
    last, number = begun[-1], len(begun)
    if last.closing not in records or last.fixer not in records:
        return f"round {number} did not come to its end"
    if _failures([records[task] for task in last.checks if task in records]):
        return f"round {number} made a check fail, so it is not kept"
    if not records[last.fixer].files:
        return f"round {number} changed nothing"
    if last.in_vain(records):
        return f"round {number} made nothing better that is measured, so it is not kept"
    return "all rounds were used" if number >= (asked or 1) else f"the plan has agents for {number}"


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
    own = {track.merge for track in known.plan.tracks}
    for task in (each.id for each in known.plan.tasks if each.id not in own):
        # A try that never came to its end says nothing, and takes nothing back.
        for tried in [one for one in tries_of(task, names) if one in records][:-1]:
            failed = _failures([records[tried]])
            if failed:  # what was red at first is told, and what was made of it then does not count
                dropped.add(tried)
                said = f"{tried} was red: {'; '.join(failed)}. It was asked again after a correction."
                findings.append(Finding(level=FindingLevel.INFO, code="checked-again", message=said))
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
    said = f"Round {number + 1} of verification "
    if failed:
        said += f"failed: {'; '.join(failed[:5])}."
    elif absent and number > chosen:
        said += f"did not come to its end: {absent[0]} is not done."
    elif each.in_vain(records):
        said += f"found nothing better that {each.fixer} measured."
    else:
        return None
    if number > chosen:
        said += f" What {each.fixer} had changed is not kept."
    return Finding(level=FindingLevel.INFO, code="verification-round", message=said)


def _failures(records: Sequence[TaskRecord]) -> list[str]:
    gates = [
        f"gate {gate.name}: {gate.figure or 'failed'}" for r in records for gate in r.gates if not gate.passed
    ]
    return gates + [f"case {case.name!r}" for record in records for case in record.cases if not case.passed]
