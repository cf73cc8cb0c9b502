"""``phases``: named stretches of the build, their tasks, and what these wait for."""

from __future__ import annotations

import re
from collections.abc import Mapping as Lookup
from graphlib import CycleError, TopologicalSorter

from factory_core.contracts.blueprint import Phase, PhaseOrder, PhaseTask

from .notes import Notes, nearest, quote
from .tree import Entry, Mapping, Scalar, Sequence, Tree

__all__ = ["read_phases"]

KEYS = ("parallel", "sequential", "blocking")
WINDOW = re.compile(r"(\d{1,5})\s*(?:-|–|to)\s*(\d{1,5})\s*(minute|min|hour|h)", re.IGNORECASE)


def read_phases(tree: Tree | None, comments: Lookup[str, list[str]], notes: Notes) -> tuple[Phase, ...]:
    """The phases in order, every dependency known and no circle among them."""
    mapping = notes.mapping(tree, "phases")
    phases: list[Phase] = []
    for entry in mapping.entries if mapping else ():
        phase = read_phase(entry, comments.get(entry.key.path, []), notes)
        phases += [phase] if phase else []
    if tree is not None:
        check_after(phases, notes, tree)
    return tuple(phases)


def read_phase(entry: Entry, comments: list[str], notes: Notes) -> Phase | None:
    """One phase; a bare list of tasks is parallel."""
    value = entry.value
    if isinstance(value, Sequence):
        value = Mapping(
            entries=(
                Entry(
                    key=Scalar(
                        text="parallel", value="parallel", quoted=False, line=value.line, column=value.column
                    ),
                    value=value,
                ),
            ),
            line=value.line,
            column=value.column,
        )
    mapping = notes.mapping(value, entry.key.text)
    if mapping is None:
        return None
    notes.keys(mapping, KEYS, "a phase")
    orders = [order for order in PhaseOrder if mapping.get(order.value) is not None]
    if len(orders) > 1:
        notes.error(
            "phase", "A phase is parallel or sequential, not both.", entry.key, "Make two phases of it."
        )
    order = orders[0] if orders else PhaseOrder.PARALLEL
    tasks = read_tasks(mapping.get(order.value), notes)
    blocking = mapping.get("blocking")
    notes.claim_keys(mapping, KEYS, f"phase:{entry.key.text}")
    return Phase(
        name=entry.key.text,
        order=order,
        tasks=tasks,
        blocking=not (isinstance(blocking, Scalar) and blocking.value is False),
        window_minutes=window_of(comments),
        line=entry.key.line,
    )


def read_tasks(tree: Tree | None, notes: Notes) -> tuple[PhaseTask, ...]:
    """Tasks as a list of names and of ``name: [after]``, or a map of the latter."""
    entries: list[Entry] = []
    if isinstance(tree, Mapping):
        entries += tree.entries
    for item in tree.items if isinstance(tree, Sequence) else ():
        if isinstance(item, Mapping):
            entries += item.entries
        elif isinstance(item, Scalar):
            entries.append(Entry(key=item, value=Sequence(items=(), line=item.line, column=item.column)))
    return tuple(
        PhaseTask(
            name=entry.key.text,
            after=tuple(word.text for word in notes.words(entry.value, entry.key.text)),
            line=entry.key.line,
        )
        for entry in entries
    )


def window_of(comments: list[str]) -> tuple[int, int] | None:
    """The minutes a comment such as ``# 30-90 minutes`` plans for."""
    for comment in comments:
        found = WINDOW.search(comment)
        if found:
            factor = 60 if found[3].lower().startswith("h") else 1
            low, high = int(found[1]) * factor, int(found[2]) * factor
            return (low, high) if low <= high else None
    return None


def check_after(phases: list[Phase], notes: Notes, tree: Tree) -> None:
    """Note an error for unknown names, names used twice and circles."""
    known: dict[str, int] = {}
    for named in [*phases, *(task for phase in phases for task in phase.tasks)]:
        if known.setdefault(named.name, named.line) != named.line:
            message = f"{quote(named.name)} stands here and on line {known[named.name]}."
            notes.error("same-name", message, (named.line, 1), "Rename one of them.")
    for phase in phases:
        for task in phase.tasks:
            for name in task.after:
                if name not in known:
                    message = f"{quote(task.name)} waits for {quote(name)}, which is no task and no phase."
                    notes.error("unknown-name", message, (task.line, 1), nearest(name, known))
    if not notes.failed:
        refuse_circle(phases, notes, tree)


def refuse_circle(phases: list[Phase], notes: Notes, tree: Tree) -> None:
    """Note an error when nothing could start: a task waits for itself, maybe by way of others or of a barrier."""
    graph: dict[str, set[str]] = {}
    barriers: list[str] = []
    for phase in phases:
        before: str | None = None
        for task in phase.tasks:
            graph[task.name] = {*task.after, *barriers}
            if phase.order is PhaseOrder.SEQUENTIAL and before is not None:
                graph[task.name].add(before)
            before = task.name
        graph[phase.name] = {task.name for task in phase.tasks}
        barriers += [phase.name] if phase.blocking else []
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        names = " -> ".join(str(name) for name in reversed(circle.args[1]))
        notes.error("circle", f"These wait for each other: {names}.", tree, "Remove one of the dependencies.")
