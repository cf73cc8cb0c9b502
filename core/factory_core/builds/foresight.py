"""Walking a plan against the memo: which tasks nothing is remembered for. Nothing is run and nothing is changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol
from uuid import UUID

from factory_core.builds.gather import make_work
from factory_core.builds.history import Entry, entries_of, tasks_of
from factory_core.builds.knowledge import BuildKnowledge
from factory_core.builds.memo import memo_digest
from factory_core.builds.merging import merge_work
from factory_core.builds.record import TaskRecord
from factory_core.contracts.agent import Agent, Work
from factory_core.contracts.plan import MERGER, QUIET, PlannedTask, Track
from factory_core.planning import reads_for
from factory_core.planning.reads import Reads

__all__ = ["foresee"]

PLACEHOLDER = re.compile(r"\{\w+\}")


class ReadsMemos(Protocol):
    """What is needed of the journal."""

    async def memos(self, org: UUID, digests: Iterable[str]) -> dict[str, dict[str, Any]]: ...


async def foresee(
    memos: ReadsMemos, org: UUID, known: BuildKnowledge, agents: Mapping[str, Agent]
) -> tuple[PlannedTask, ...]:
    """The tasks that nothing is remembered for, walked as the build would, in the plan's order."""
    records: dict[str, TaskRecord] = {}
    waiting = {task.id: task for task in known.plan.tasks if task.agent not in QUIET}
    running: set[str] = set()
    ended = {task.id for task in known.plan.tasks} - waiting.keys()
    sources = _Sources(known)
    read = {name: sources.of(task) for name, task in waiting.items()}
    while waiting:
        ready = [task for name, task in waiting.items() if read[name] <= ended]
        keys = {task.id: _key(known, task, agents, records) for task in ready if not read[task.id] & running}
        found = await memos.memos(org, filter(None, keys.values()))
        for task in ready:
            kept = found.get(keys.get(task.id, ""))
            if kept is not None:
                records[task.id] = TaskRecord.of_row(task.id, kept)
            elif task.agent != MERGER or task.params.get("checker"):
                running.add(task.id)
            del waiting[task.id]
        ended.update(task.id for task in ready)
    return tuple(task for task in known.plan.tasks if task.id in running)


class _Sources:
    """Which tasks may tell another something. Work makes the files that its template declares for it, and none where it
    declares none; a merge tidies the files of its track; tasks of no kind of work may make any."""

    def __init__(self, known: BuildKnowledge) -> None:
        self._known = known
        self._works = known.template.manifest.work
        self._tasks = {task.id: task for task in known.plan.tasks}
        self._made = {
            work.name: tuple(PLACEHOLDER.sub("x", file.path) for file in work.files) for work in self._works
        }
        self._tracks = {track.merge: track for track in known.plan.tracks}

    def of(self, task: PlannedTask) -> frozenset[str]:
        """The tasks before it whose outcome it may read."""
        if task.id in self._tracks:
            return frozenset(self._tracks[task.id].steps) | self._configuring(task)
        reads = reads_for(self._works, task.params)
        shown: dict[str, bool] = {}
        found: set[str] = set()
        for other in self._known.before[task.id]:
            params = self._tasks[other].params
            kind = params.get("work", other)
            if kind not in shown:
                shown[kind] = self._shows(other, reads) or (other not in self._tracks and reads.hears(params))
            if shown[kind]:
                found.add(other)
        return frozenset(found)

    def _configuring(self, merge: PlannedTask) -> frozenset[str]:
        """What makes files that the check of a merge reads of main."""
        joint = next((work.name for work in self._works if work.stage == "integrate"), "")
        reads = reads_for(self._works, {"work": joint})
        return frozenset(other for other in self._known.before[merge.id] if self._shows(other, reads))

    def _shows(self, other: str, reads: Reads) -> bool:
        paths = self._paths(other)
        return reads.paths != () if paths is None else any(reads.sees(path) for path in paths)

    def _paths(self, name: str) -> tuple[str, ...] | None:
        """Examples of what the task makes; None when that may be anything."""
        track = self._tracks.get(name)
        if track is None:
            return self._made.get(self._tasks[name].params.get("work", ""))
        works = dict.fromkeys(self._tasks[step].params.get("work", "") for step in track.steps)
        return tuple(path for work in works for path in self._made.get(work, ()))


def _key(
    known: BuildKnowledge, task: PlannedTask, agents: Mapping[str, Agent], records: Mapping[str, TaskRecord]
) -> str:
    """What its outcome is remembered under; empty when it never is."""
    merging = task.agent == MERGER
    agent = agents.get(task.params.get("checker", "") if merging else task.agent)
    if agent is None:
        return ""
    work = _merge(known, task, records) if merging else _usual(known, task, records)
    return memo_digest(agent.name, agent.version, work)


def _usual(known: BuildKnowledge, task: PlannedTask, records: Mapping[str, TaskRecord]) -> Work:
    return make_work(
        known,
        task.id,
        task.params,
        task.scope,
        before=known.before[task.id],
        parents=frozenset(task.after),
        records=records,
    )


def _merge(known: BuildKnowledge, task: PlannedTask, records: Mapping[str, TaskRecord]) -> Work:
    ordered = {name: records[name] for name in known.before[task.id] if name in records}

    def entries(track: Track, merge: TaskRecord) -> tuple[Entry, ...]:
        return entries_of(track, tasks_of(track, ordered, known), ordered, merge, known)

    tracks = known.plan.tracks
    number = next(place for place, track in enumerate(tracks) if track.merge == task.id)
    main = [
        entry for track in tracks[:number] for entry in entries(track, ordered.get(track.merge, TaskRecord()))
    ]
    return merge_work(known, task.id, task.params, entries(tracks[number], TaskRecord()), main)
