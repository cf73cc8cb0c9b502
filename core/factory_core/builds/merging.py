"""Merging a track: its files in a worktree on the newest main, its gates, its commits, and main moved forward to them.

The kernel does this itself, as a task of the plan. Main as the journal knows it, and so every commit, follows from what
the tasks left: a merge that was killed is done again with the same commits, and leaves the journal once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Protocol

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from factory_core.builds.harvest.contribution import Contribution, TwoOwners, check_contributions
from factory_core.builds.harvest.workspace import Repository
from factory_core.builds.history import (
    Entry,
    Merged,
    changelog,
    entries_of,
    filled,
    given,
    merge_of,
    merged_in,
    planned_of,
    tasks_of,
)
from factory_core.builds.journal import Assignment, Journal
from factory_core.builds.kinship import in_order
from factory_core.builds.knowledge import BuildKnowledge
from factory_core.builds.paths import PathRefused
from factory_core.builds.recent import ReadsBlobs
from factory_core.builds.record import TaskRecord
from factory_core.builds.workspaces import Workspaces
from factory_core.contracts.agent import GateResult, Work
from factory_core.contracts.blueprint import Blueprint
from factory_core.contracts.events import TaskState
from factory_core.contracts.files import FileRef, Produced
from factory_core.contracts.plan import Track
from factory_core.errors import FactoryError
from factory_core.planning import reads_for

__all__ = ["OWNERSHIP", "HistoryDiffers", "Merger", "committed", "merge_work", "merged_entries", "tree_of"]

OWNERSHIP = "one owner per path"
NOBODY_ELSE = "none of another task"

Check = Callable[[Work], Awaitable[TaskRecord]]
"""Runs a track's gates over main with the track's files; what it tidied is in the record."""


class Blobs(Protocol):
    """The content-addressed store."""

    @property
    def recent(self) -> ReadsBlobs: ...

    async def put(self, content: bytes) -> str: ...

    async def get(self, digest: str) -> bytes: ...


class HistoryDiffers(FactoryError):
    """The same merges gave other commits than the journal names."""

    status: ClassVar[int] = 500

    def __init__(self, track: str, wanted: str, found: str) -> None:
        self.track = track
        self.wanted = wanted
        self.found = found
        super().__init__(
            f"The track {track} was merged at {wanted or 'no commit'} and comes out at {found or 'no commit'} now: the "
            "studio was changed while it built, or the journal was. Start the build again."
        )


class _Ground(Struct, frozen=True):
    """All that stands before a merge: the track, its tasks, every record, and main's commits."""

    known: BuildKnowledge
    track: Track
    tasks: tuple[str, ...]
    records: dict[str, TaskRecord]
    before: tuple[Entry, ...]


class Merger:
    """Merges one track; holds nothing between two merges."""

    def __init__(self, journal: Journal, blobs: Blobs, workspaces: Workspaces) -> None:
        self._journal = journal
        self._blobs = blobs
        self._recent = blobs.recent
        self._workspaces = workspaces

    async def merge(self, assignment: Assignment, known: BuildKnowledge, check: Check) -> TaskRecord:
        """What the merge leaves; with ``failure`` when a gate was red, and main is then as it was before.

        Raises TwoOwners or PathRefused when the change log is another's file."""
        ground = await self._survey(assignment, known)
        track = ground.track
        start = entries_of(track, ground.tasks, ground.records, TaskRecord(), known)
        main = (given(known), *await filled(ground.before, self._recent))
        raw = await filled(start, self._recent)
        clash = _clash((*main, *raw))
        if clash is not None:
            return _refused(TaskRecord(gates=(clash,)), track)
        repository = committed(main)
        base = repository.head
        async with self._workspaces.open(assignment.build) as workspace:
            own = tree_of(raw)
            await workspace.begin(repository, tree_of(main), track.name, track.branch, own.values())
            work = merge_work(known, assignment.task, assignment.params, start, ground.before)
            found = _own(await check(work), own, known)
            record = replace(found, gates=(_owned(len(own)), *found.gates))
            if record.failure or not all(gate.passed for gate in record.gates):
                return _refused(record, track)
            record = await self._noted(record, ground)
            entries = entries_of(track, ground.tasks, ground.records, record, known)
            ending = await filled(entries, self._recent)
            check_contributions((*main, *ending))
            commits = tuple((one.producer, repository.commit(one)) for one in ending)
            await workspace.merge(repository, tree_of((*main, *ending)), track.name, track.branch)
        merged = Merged(
            track=track.name, branch=track.branch, base=base, head=repository.head, commits=commits
        )
        return replace(record, data={"track": to_builtins(merged)})

    async def _survey(self, assignment: Assignment, known: BuildKnowledge) -> _Ground:
        rows = await self._journal.results(assignment.org, assignment.build)
        spawned = await self._journal.spawned(assignment.org, assignment.build)
        done = {row.id: row for row in rows if row.state is TaskState.DONE}
        order = in_order(done, [task.id for task in known.plan.tasks], spawned)
        records = {name: TaskRecord.of_row(name, done[name].result) for name in order}
        tracks = known.plan.tracks
        planned = planned_of(assignment.task, known)  # it may be a later try
        number = next(n for n, track in enumerate(tracks) if track.merge == planned)
        before = [entry for track in tracks[:number] for entry in merged_entries(track, records, known)]
        return _Ground(
            known, tracks[number], tasks_of(tracks[number], records, known), records, tuple(before)
        )

    async def _noted(self, record: TaskRecord, ground: _Ground) -> TaskRecord:
        """With the change log as it reads when this track is merged."""
        path = ground.known.template.manifest.changelog
        if not path:
            return record
        entries = entries_of(ground.track, ground.tasks, ground.records, record, ground.known)
        content = changelog((*ground.before, *entries), ground.known)
        ref = FileRef(
            path=path,
            digest=await self._blobs.put(content),
            size=len(content),
            producer=ground.track.merge,
        )
        return replace(record, files=(*record.files, ref))


def merged_entries(track: Track, records: dict[str, TaskRecord], known: BuildKnowledge) -> tuple[Entry, ...]:
    """The commits of a track that was merged; none when it was not."""
    merge = merge_of(track, records)
    merged = merged_in(merge)
    if merge is None or merged is None:
        return ()
    tasks = [task for task, _ in merged.commits if task in records and task != track.merge]
    return entries_of(track, tasks, records, merge, known)


def committed(contributions: Sequence[Contribution]) -> Repository:
    """A repository with these commits."""
    repository = Repository()
    for made in contributions:
        repository.commit(made)
    return repository


def tree_of(contributions: Sequence[Contribution]) -> dict[str, Produced]:
    """The files as they are after the last commit."""
    return {file.path: file for made in contributions for file in made.files}


def merge_work(
    known: BuildKnowledge, task: str, params: dict[str, str], own: Sequence[Entry], main: Sequence[Entry]
) -> Work:
    """The work of the check before a merge: all that it follows from. Of the release only what the track keeps as it is."""
    inputs = _inputs(own, main, known)
    kept = {(ref.path, ref.digest) for entry in own for ref in entry.refs}
    return Work(
        task=task,
        params=params,
        # A check reads files. What the specification says elsewhere must not keep it from being remembered.
        blueprint=Blueprint(project=replace(known.blueprint.project, line=0)),
        template=known.template,
        inputs=inputs,
        release=tuple(ref for ref in known.release if (ref.path, ref.digest) in kept),
    )


def _inputs(own: Sequence[Entry], main: Sequence[Entry], known: BuildKnowledge) -> tuple[FileRef, ...]:
    """The track's files, and of main what the integrator declares to read: what a check found is remembered for these,
    so one that could look anywhere would be done again whenever anything changed."""
    works = known.template.manifest.work
    joint = next((work.name for work in works if work.stage == "integrate"), "")
    reads = reads_for(works, {"work": joint})
    refs = {ref.path: ref for entry in main for ref in entry.refs if reads.sees(ref.path)}
    refs.update((ref.path, ref) for entry in own for ref in entry.refs)
    return tuple(refs[path] for path in sorted(refs))


def _own(record: TaskRecord, raw: dict[str, Produced], known: BuildKnowledge) -> TaskRecord:
    """What the check found, without what only a merge may say. A file of another track fails it."""
    changelog_path = known.template.manifest.changelog
    files = tuple(ref for ref in record.files if ref.path != changelog_path)
    foreign = sorted(ref.path for ref in files if ref.path not in raw)
    gates = tuple(gate for gate in record.gates if gate.name != OWNERSHIP)
    failure = record.failure
    if foreign:
        failure = f"The check of the track changed {', '.join(foreign)}, which the track does not own."
    return replace(record, files=files, gates=gates, data={}, failure=failure)


def _owned(paths: int) -> GateResult:
    return GateResult(name=OWNERSHIP, passed=True, figure=f"{paths} paths", limit=NOBODY_ELSE)


def _clash(contributions: Sequence[Contribution]) -> GateResult | None:
    """The gate, when it is red."""
    try:
        check_contributions(contributions)
    except (PathRefused, TwoOwners) as error:
        return GateResult(name=OWNERSHIP, passed=False, figure=str(error), limit=NOBODY_ELSE)
    return None


def _refused(record: TaskRecord, track: Track) -> TaskRecord:
    red = [f"{gate.name}: {gate.figure or 'failed'}" for gate in record.gates if not gate.passed]
    why = record.failure or "; ".join(red)
    return TaskRecord(
        findings=record.findings,
        gates=record.gates,
        failure=f"The track {track.name} is not merged, {track.branch} stays out of main: {why}",
    )
