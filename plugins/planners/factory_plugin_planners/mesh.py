"""Neural mesh: agents that exchange messages in rounds before the checks begin."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from factory_core.contracts.plan import BARRIER, Arrangement, Draft, PlannedTask, Region

__all__ = ["MOST_PEERS", "ROUNDS", "NeuralMesh"]

ROUNDS = 2
"""Ask, answer. What is still open then goes to the moderator."""
MOST_PEERS = 6
FEWEST_PEERS = 2
AFTER_RED = 4
"""Agents left for a verdict that is red: twice a debugger and the moderator once more."""
SECONDS = 0.05


class NeuralMesh:
    """Peers share the integrated code among themselves. In each round everyone reads what the others wrote in the round
    before; a barrier closes the round. The moderator makes a gate of what is left open."""

    name = "neural_mesh"

    def arrange(self, draft: Draft, region: Region) -> Arrangement:
        """The rounds stand after the region's integration (or its last task) and before the delivery."""
        kept = AFTER_RED if "on_failure" in draft.blueprint.behaviours else 0
        spare = draft.spare - 1 - kept
        peers = min(MOST_PEERS, max(FEWEST_PEERS, len(draft.blueprint.entities)), spare // ROUNDS)
        anchor = _anchor(draft, region)
        if peers < FEWEST_PEERS or anchor is None:
            said = f"Neural mesh: max_agents leaves {draft.spare} agents more, too few to talk; no messages are exchanged."
            return Arrangement(tasks=draft.tasks, said=(said,))
        rounds, last = _rounds(peers, anchor)
        tasks: list[PlannedTask] = []
        for task in draft.tasks:
            if task.always:
                task = _behind(task, (new.id for new in rounds if new.agent != BARRIER))
            elif anchor.id in task.after:  # what is corrected after a red verdict is checked, too
                task = _behind(task, (last.id,))
            tasks.append(task)
            if task.id == anchor.id:
                tasks += rounds
        said = (
            f"Neural mesh: {peers} peers exchange what their files offer and need in {ROUNDS} rounds after {anchor.id}; "
            f"{last.id} is a gate."
        )
        return Arrangement(tasks=tuple(tasks), said=(said,))


def _behind(task: PlannedTask, names: Iterable[str]) -> PlannedTask:
    return replace(task, after=tuple(dict.fromkeys((*task.after, *names))))


def _anchor(draft: Draft, region: Region) -> PlannedTask | None:
    """The last task that integrates; without one the last of the region that is not the delivery."""
    stages = {work.name: work.stage for work in draft.template.manifest.work}
    mine = [task for task in draft.tasks if task.id in frozenset(region.tasks) and not task.always]
    integrating = [task for task in mine if stages.get(task.params.get("work", "")) == "integrate"]
    return (integrating or mine or [None])[-1]


def _rounds(peers: int, anchor: PlannedTask) -> tuple[list[PlannedTask], PlannedTask]:
    tasks: list[PlannedTask] = []
    before = anchor.id
    for number in range(1, ROUNDS + 1):
        speakers = [
            PlannedTask(
                id=f"mesh/{number}/{peer}",
                agent="peer",
                title=f"Mesh, round {number}: peer {peer} of {peers}",
                team=anchor.team,
                phase=anchor.phase,
                after=(before,) if number == 1 else (before, anchor.id),
                params={"peer": str(peer), "of": str(peers), "round": str(number)},
                seconds=SECONDS,
                optional=anchor.optional,
            )
            for peer in range(1, peers + 1)
        ]
        barrier = PlannedTask(
            id=f"{BARRIER}/mesh/{number}",
            agent=BARRIER,
            title=f"round {number} ends",
            team="",
            phase=anchor.phase,
            after=tuple(task.id for task in speakers),
        )
        tasks += [*speakers, barrier]
        before = barrier.id
    moderator = PlannedTask(
        id="mesh/verdict",
        agent="moderator",
        title="Mesh: what is left open",
        team=anchor.team,
        phase=anchor.phase,
        after=(before, anchor.id),
        params={"peer": "moderator", "of": str(peers), "round": str(ROUNDS + 1)},
        seconds=SECONDS,
        optional=anchor.optional,
    )
    return [*tasks, moderator], moderator
