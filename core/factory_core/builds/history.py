"""The history of a build: which task's files go into which commit, on which branch, in which order.

A pure reading of the plan and of what the tasks left in the journal. The merges follow it track by track, and the delivery
follows it once more and must come to the same commits.
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from factory_core.builds.harvest.contribution import Contribution
from factory_core.builds.knowledge import BuildKnowledge
from factory_core.builds.recent import ReadsBlobs
from factory_core.builds.record import TaskRecord
from factory_core.builds.rounds import DEBUGGER, RETRY
from factory_core.contracts.files import FileRef, Produced
from factory_core.contracts.plan import Track
from factory_core.planning.tracks import branch_name

__all__ = [
    "Entry",
    "Merged",
    "changelog",
    "entries_of",
    "filled",
    "given",
    "merge_of",
    "merged_in",
    "planned_of",
    "rest_of",
    "spec_file_name",
    "tasks_of",
    "title_of",
]

_NAMES_NOBODY_KEEPS = re.compile(r"[^\w. -]+")
LONGEST_SPEC_NAME = 60
LATER = "integration"
_AGAIN = f"/{RETRY}/1"
"""The track of what was made after the merges."""


class Merged(Struct, frozen=True, kw_only=True):
    """What a merge leaves in the journal. ``base`` is main before it, ``head`` main after it."""

    track: str
    branch: str
    base: str
    head: str
    commits: tuple[tuple[str, str], ...]
    """Tasks with their commits, empty for a task that made no file, in the order of the branch. (A map would come back
    from the journal in another order.)"""


class Entry(Struct, frozen=True, kw_only=True):
    """A commit to be."""

    producer: str
    title: str
    refs: tuple[FileRef, ...]
    branch: str = ""
    revises: bool = False


def merged_in(record: TaskRecord | None) -> Merged | None:
    """What the merge with this record did; None when it did not come to that."""
    document: Any = None if record is None else record.data.get("track")
    return None if document is None else msgspec.convert(document, Merged)


def merge_of(track: Track, records: Mapping[str, TaskRecord]) -> TaskRecord | None:
    """The record of the last try to merge the track that left anything."""
    tries = [
        name for name, record in records.items() if name.replace(_AGAIN, "") == track.merge and record.gates
    ]
    return records[max(tries, key=len)] if tries else None


def planned_of(task: str, known: BuildKnowledge) -> str:
    """The planned task that a task stems from: itself, or the first that spawned it."""
    while task not in known.before and "/" in task:
        task = task.rpartition("/")[0]
    return task


def title_of(task: str, known: BuildKnowledge) -> str:
    """The planned title; the id of what was spawned."""
    planned = known.task(task)
    return planned.title if planned is not None else task


def tasks_of(track: Track, records: Iterable[str], known: BuildKnowledge) -> tuple[str, ...]:
    """The steps that have a record, what they spawned, and who corrected them for the merge, in the order of the records."""
    steps = frozenset(track.steps)
    return tuple(task for task in records if planned_of(task, known) in steps or _corrects(task, track))


def _corrects(task: str, track: Track) -> bool:
    return task.startswith(f"{track.merge}/") and task.rpartition("/")[0].endswith(f"/{DEBUGGER}")


def entries_of(
    track: Track,
    tasks: Sequence[str],
    records: Mapping[str, TaskRecord],
    merge: TaskRecord,
    known: BuildKnowledge,
) -> tuple[Entry, ...]:
    """The commits of a branch: each path under the task of the track that made it first, as it was when it was merged
    (formatting is no authorship). What the merge itself wrote comes last."""
    newest: dict[str, FileRef] = {}
    owners: dict[str, str] = {}
    for task in tasks:
        for ref in records[task].files:
            owners.setdefault(ref.path, task)
            newest[ref.path] = ref
    newest.update((ref.path, ref) for ref in merge.files)
    entries = [
        Entry(
            producer=task,
            title=title_of(task, known),
            refs=tuple(ref for path, ref in newest.items() if owners.get(path) == task),
            branch=track.branch,
        )
        for task in tasks
    ]
    own = tuple(ref for path, ref in newest.items() if path not in owners)
    entries.append(
        Entry(
            producer=track.merge,
            title=f"Note {track.title} in the change log",
            refs=own,
            branch=track.branch,
            revises=True,
        )
    )
    return tuple(entries)


def rest_of(
    entries: Sequence[Entry], records: Mapping[str, TaskRecord], known: BuildKnowledge
) -> tuple[Entry, ...]:
    """What is in no track, and what was changed after the merges, each path under the task that made or changed it."""
    committed = {ref.path: ref for entry in entries for ref in entry.refs}
    first: dict[str, str] = {}
    newest: dict[str, tuple[str, FileRef]] = {}
    for task, record in records.items():
        for ref in record.files:
            first.setdefault(ref.path, task)
            newest[ref.path] = (task, ref)
    made: dict[str, list[FileRef]] = {}
    for path, (task, ref) in newest.items():
        before = committed.get(path)
        if before is None:
            made.setdefault(first[path], []).append(ref)
        elif (before.digest, before.executable) != (ref.digest, ref.executable):
            made.setdefault(task, []).append(ref)
    branch = _later_branch(known)
    return tuple(
        Entry(
            producer=task,
            title=title_of(task, known),
            refs=tuple(made[task]),
            branch=branch,
            revises=bool(branch),
        )
        for task in records
        if task in made
    )


def _later_branch(known: BuildKnowledge) -> str:
    tracks = known.plan.tracks
    if not tracks:
        return ""
    return branch_name(LATER, LATER, tracks[0].branch.rpartition("/")[2])


def given(known: BuildKnowledge) -> Contribution:
    """The root of every history."""
    return Contribution(
        producer="specification",
        title="Keep the specification as it was given",
        files=(Produced(path=f"spec/{spec_file_name(known.spec_name)}", content=known.spec),),
    )


def spec_file_name(name: str) -> str:
    """The last part of ``name``, ending included, as every file system can keep it; ``spec.yaml`` if nothing is left."""
    last = unicodedata.normalize("NFKC", name).replace("\\", "/").rsplit("/", 1)[-1]
    kept = _NAMES_NOBODY_KEEPS.sub("-", last)[-LONGEST_SPEC_NAME:].strip(". -")
    return kept or "spec.yaml"


async def filled(entries: Sequence[Entry], blobs: ReadsBlobs) -> tuple[Contribution, ...]:
    """The commits with their contents. Raises ObjectMissing, BlobDamaged."""
    digests = sorted({ref.digest for entry in entries for ref in entry.refs})
    contents = dict(
        zip(digests, await asyncio.gather(*(blobs.get(digest) for digest in digests)), strict=True)
    )
    return tuple(
        Contribution(
            producer=entry.producer,
            title=entry.title,
            files=tuple(
                Produced(path=ref.path, content=contents[ref.digest], executable=ref.executable)
                for ref in entry.refs
            ),
            branch=entry.branch,
            revises=entry.revises,
        )
        for entry in entries
    )


def changelog(entries: Sequence[Entry], known: BuildKnowledge) -> bytes:
    """What each branch brought so far, in the order of the merges."""
    return "\n".join(_changelog(entries, known)).encode(errors="replace") + b"\n"


def _changelog(entries: Sequence[Entry], known: BuildKnowledge) -> Iterator[str]:
    yield "# Change log\n\nWhat each track brought, in the order they were merged."
    for track in known.plan.tracks:
        steps = [
            entry for entry in entries if entry.branch == track.branch and entry.refs and not entry.revises
        ]
        if steps:
            yield f"\n## {track.title}\n"
            for entry in steps:
                task = known.task(entry.producer)
                named = f" ({', '.join(task.requirements)})" if task is not None and task.requirements else ""
                yield f"- {' '.join(entry.title.split())}{named}"
