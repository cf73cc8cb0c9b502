"""What the spec wants done when something happens, and the agents kept back for it under the cap."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from factory_core.contracts.blueprint import Blueprint
from factory_core.contracts.plan import PlannedTask, counts
from factory_core.contracts.template import TemplatePackage, WorkSpec

from .pieces import nodes_of, pieces_of
from .slugs import words

__all__ = [
    "TRIES",
    "Reserve",
    "army_of",
    "integrating_task",
    "reserve",
    "switched_on",
    "verifying_tasks",
]

TRIES = 2
"""How often the debugger may try before a failure is final."""
MOST_ROUNDS = 3
"""Rounds of optimisation at most: each is nested in the one before, and a build nests six deep."""
COMPLEX = 12
"""A task that makes more files than this is complex."""
MOST_PARTS = 8
SIGNS = {
    "on_failure": words("debugger debug recover"),
    "on_success": words("optimizer optimiser optimize optimise enhance"),
    "on_complexity": words("decomposer decompose split"),
    "on_integration": words("tester test army"),
    "on_security_risk": words("halt audit"),
}


class Reserve(Struct, frozen=True, kw_only=True):
    """The tasks, those marked that are to be split, and how many agents each behaviour may spawn."""

    tasks: tuple[PlannedTask, ...]
    promised: dict[str, int] = {}
    said: tuple[str, ...] = ()

    @property
    def agents(self) -> int:
        """All that is kept back."""
        return sum(self.promised.values())


def switched_on(blueprint: Blueprint) -> frozenset[str]:
    """The behaviours whose action the studio knows, such as ``on_failure: spawn_debugger_and_recover``."""
    return frozenset(
        name for name, action in blueprint.behaviours.items() if SIGNS.get(name, frozenset()) & words(action)
    )


def verifying_tasks(tasks: Sequence[PlannedTask], template: TemplatePackage) -> tuple[str, ...]:
    """The tasks that verify, as planned."""
    return tuple(_of_stage(tasks, template, "verify"))


def integrating_task(tasks: Sequence[PlannedTask], template: TemplatePackage) -> str | None:
    """The last task that integrates."""
    return next(reversed(_of_stage(tasks, template, "integrate")), None)


def army_of(blueprint: Blueprint, template: TemplatePackage) -> tuple[PlannedTask, ...]:
    """The testers that ``on_integration`` calls: one for each node of the work that the template keeps for it."""
    nodes = nodes_of(blueprint)
    return tuple(
        piece.task(team=work.team)
        for work in template.manifest.work
        if work.on == "integration"
        for piece in pieces_of(work, nodes[work.each], len(nodes[work.each]))
    )


def reserve(
    blueprint: Blueprint, template: TemplatePackage, tasks: tuple[PlannedTask, ...], cap: int
) -> Reserve:
    """Keep agents back in this order: recovery, audits, optimisation, testers, parts of complex tasks."""
    on = switched_on(blueprint)
    said = [
        f"What {name} asks for ({action}) is not known; nothing is done."
        for name, action in blueprint.behaviours.items()
        if name not in on
    ]
    left = cap - sum(counts(task.agent) for task in tasks)
    verifying = _of_stage(tasks, template, "verify")
    checked = 1 + len(verifying) if verifying else 0
    wanted = {
        "on_failure": (TRIES * checked,),
        "on_security_risk": (_audits(template, verifying, recovers="on_failure" in on),),
        "on_success": tuple(checked * rounds for rounds in range(_rounds(blueprint), 0, -1)),
        "on_integration": (_testers(blueprint, template, tasks),),
    }
    promised: dict[str, int] = {}
    for name, sizes in wanted.items():
        if name not in on or not sizes:
            continue
        agents = next((size for size in sizes if size <= left), sizes[-1])
        if 0 < agents <= left:
            promised[name] = agents
            left -= agents
            said.append(f"{name} may add up to {agents} agents.")
        elif name == "on_security_risk":
            said.append(f"{name} halts the build at once: there is no agent for an audit before it.")
        elif agents:
            said.append(f"{name} would need {agents} agents more, max_agents leaves {left}: nothing is done.")
        else:
            said.append(f"{name}: template {template.manifest.name} has nothing for it to act on.")
    said += _said_of_rounds(blueprint, promised.get("on_success", 0) // checked if checked else 0)
    if promised.keys() & {"on_failure", "on_success"}:
        tasks = _closed(tasks, verifying)
    if "on_complexity" in on:
        tasks, parts = _split(tasks, template, left)
        promised["on_complexity"] = parts
        said.append(
            f"on_complexity splits what makes more than {COMPLEX} files, into {parts} parts in all."
            if parts
            else f"on_complexity: no task makes more than {COMPLEX} files, or no agents are left to split it."
        )
    return Reserve(tasks=tasks, promised=promised, said=tuple(said))


def _of_stage(tasks: Sequence[PlannedTask], template: TemplatePackage, stage: str) -> list[str]:
    names = {work.name for work in template.manifest.work if work.stage == stage and not work.on}
    return [task.id for task in tasks if task.params.get("work") in names]


def _rounds(blueprint: Blueprint) -> int:
    """Rounds of optimisation that the plan keeps agents for, if they fit."""
    asked = blueprint.constraints.optimization_rounds
    return 1 if asked is None else min(asked, MOST_ROUNDS)


def _said_of_rounds(blueprint: Blueprint, granted: int) -> list[str]:
    """What becomes of ``optimization_rounds``, where it is not simply done."""
    asked = blueprint.constraints.optimization_rounds
    if asked is None or asked == granted:
        return []
    if "on_success" not in switched_on(blueprint):
        return ["optimization_rounds: no behaviour on_success asks for an optimizer, so there are no rounds."]
    most = (
        f"{MOST_ROUNDS} are the most" if granted == MOST_ROUNDS else "more agents do not fit under max_agents"
    )
    return [f"optimization_rounds: {asked} were asked for, {granted} are possible: {most}."]


def _audits(template: TemplatePackage, verifying: Sequence[str], *, recovers: bool) -> int:
    """One for each round that may find a risk, where the template knows an auditor."""
    known = any(work.agent == "auditor" for work in template.manifest.work)
    return (1 + TRIES * recovers) if known and verifying else 0


def _testers(blueprint: Blueprint, template: TemplatePackage, tasks: Sequence[PlannedTask]) -> int:
    """One for each node, and one that tidies what they made."""
    agents = len(army_of(blueprint, template)) if integrating_task(tasks, template) else 0
    return agents + 1 if agents else 0


def _closed(tasks: tuple[PlannedTask, ...], verifying: Sequence[str]) -> tuple[PlannedTask, ...]:
    """The last check stands after all others, so that one task knows how they ended."""
    *others, last = verifying
    return tuple(
        replace(task, after=tuple(dict.fromkeys([*task.after, *others]))) if task.id == last else task
        for task in tasks
    )


def _split(
    tasks: tuple[PlannedTask, ...], template: TemplatePackage, left: int
) -> tuple[tuple[PlannedTask, ...], int]:
    """Tasks that make too many files become decomposers, as far as agents are left."""
    works = {work.name: work for work in template.manifest.work}
    found: list[PlannedTask] = []
    spent = 0
    for task in tasks:
        work = works.get(task.params.get("work", ""))
        parts = min(_parts(work), left - spent)
        if parts > 1:
            spent += parts
            params = {**task.params, "for": task.agent, "parts": str(parts)}
            task = replace(task, agent="decomposer", params=params)
        found.append(task)
    return tuple(found), spent


def _parts(work: WorkSpec | None) -> int:
    if work is None or work.each != "project" or len(work.files) <= COMPLEX:
        return 0
    return min(MOST_PARTS, -(-len(work.files) // COMPLEX))
