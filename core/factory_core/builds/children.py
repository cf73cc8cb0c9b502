"""What an agent asks for, as rows of the journal."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from factory_core.builds.boards import TaskBoard
from factory_core.builds.record import TaskRecord
from factory_core.builds.rounds import OWN_BEHAVIOURS
from factory_core.builds.schemas import Assignment, NewEdge, NewTask
from factory_core.contracts.agent import Outcome, Spawn, Tools
from factory_core.contracts.plan import MERGER, QUIET

__all__ = ["children_of", "tools_used", "with_failure", "without_forgery"]

OWN_AGENTS = QUIET | {MERGER, "harvester", "planner"}
"""What the runner does itself, for the plan alone."""


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
    """A failure, with its gates and findings, when the agent asks for tasks of the studio's own, by name or by agent, or
    under what is no name; else the outcome itself."""
    forged = [spawn for spawn in outcome.spawn if _forged(spawn)]
    if not forged:
        return outcome
    asked = ", ".join(sorted({f"{spawn.behaviour}/{spawn.n} of {spawn.agent}" for spawn in forged}))
    why = (
        f"The agent {agent!r} asked for {asked}. A Spawn needs a behaviour without slashes that is none of the studio's "
        f"({', '.join(sorted(OWN_BEHAVIOURS))}), a whole number, and an agent that is none of the studio's "
        f"({', '.join(sorted(OWN_AGENTS))})."
    )
    return Outcome(gates=outcome.gates, findings=outcome.findings, failure=why)


def _forged(spawn: Spawn) -> bool:
    number: object = spawn.n  # nothing has checked it yet
    named = "/" not in spawn.behaviour and type(number) is int
    return not named or spawn.behaviour in OWN_BEHAVIOURS or spawn.agent in OWN_AGENTS


def with_failure(record: TaskRecord, failure: str) -> TaskRecord:
    """The record of a task that failed after all; itself when it did not, or had failed before."""
    return replace(record, files=(), failure=failure) if failure and not record.failure else record


def tools_used(tools: Tools) -> bool:
    """Whether the outcome may follow from what others wrote on the board."""
    board = getattr(tools, "board", None)
    return isinstance(board, TaskBoard) and board.used
