"""What an agent asks for, as rows of the journal."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from factory_core.builds.boards import TaskBoard
from factory_core.builds.record import TaskRecord
from factory_core.builds.rounds import OWN_BEHAVIOURS
from factory_core.builds.schemas import Assignment, NewEdge, NewTask
from factory_core.contracts.agent import Outcome, Spawn, Tools

__all__ = ["children_of", "tools_used", "with_failure", "without_forgery"]


def children_of(
    assignment: Assignment, spawns: Sequence[Spawn]
) -> tuple[tuple[NewTask, ...], tuple[NewEdge, ...]]:
    """Tasks called ``<parent>/<behaviour>/<n>``, waited for by whoever waits for the parent, and the order among them."""
    tasks = tuple(
        NewTask(
            id=f"{assignment.task}/{spawn.behaviour}/{spawn.n}",
            agent=spawn.agent,
            title=spawn.title,
            team=assignment.team,
            phase=assignment.phase,
            scope=spawn.scope or assignment.scope,
            params=spawn.params,
            optional=spawn.optional,
            joined=True,
        )
        for spawn in spawns
    )
    edges = tuple(
        NewEdge(f"{assignment.task}/{earlier}", task.id)
        for task, spawn in zip(tasks, spawns, strict=True)
        for earlier in spawn.after
    )
    return tasks, edges


def without_forgery(agent: str, outcome: Outcome) -> Outcome:
    """A failure when the agent asks for tasks under names that are the studio's own; else the outcome itself."""
    asked = {part for spawn in outcome.spawn for part in spawn.behaviour.split("/")}
    forged = sorted(asked & OWN_BEHAVIOURS)
    if not forged:
        return outcome
    return Outcome(
        failure=f"The agent {agent!r} asked for tasks called {', '.join(forged)}, and only the studio adds such. Give the "
        "behaviour of its Spawn another name."
    )


def with_failure(record: TaskRecord, failure: str) -> TaskRecord:
    """The record of a task that failed after all; itself when it did not, or had failed before."""
    return replace(record, files=(), failure=failure) if failure and not record.failure else record


def tools_used(tools: Tools) -> bool:
    """Whether the outcome may follow from what others wrote on the board."""
    board = getattr(tools, "board", None)
    return isinstance(board, TaskBoard) and board.used
