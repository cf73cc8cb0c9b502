"""What one task gets to read, worked out of the build and of what the tasks before it left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from factory_core.builds.knowledge import BuildKnowledge
from factory_core.builds.record import TaskRecord
from factory_core.builds.rounds import planned_check
from factory_core.contracts.agent import Work
from factory_core.contracts.files import FileRef
from factory_core.planning import narrow, reads_for
from factory_core.planning.reads import Reads

__all__ = ["latest_files", "make_work"]


def make_work(
    known: BuildKnowledge,
    task: str,
    params: dict[str, str],
    scope: str,
    *,
    before: Sequence[str],
    parents: Set[str],
    records: Mapping[str, TaskRecord],
) -> Work:
    """The work of a task that stands after ``before``, directly after ``parents``. What its kind of work does not declare
    to read is left out."""
    reads = reads_for(known.template.manifest.work, params)
    files = latest_files(records[other] for other in before if other in records)
    return Work(
        task=task,
        params=params,
        blueprint=reads.of(narrow(known.blueprint, scope)),
        template=known.template,
        inputs=tuple(ref for ref in files if reads.sees(ref.path)),
        release=tuple(ref for ref in known.release if reads.inherits(ref.path)),
        upstream=dict(_told(known, reads, [other for other in before if other in parents], records)),
    )


def _told(
    known: BuildKnowledge, reads: Reads, parents: Iterable[str], records: Mapping[str, TaskRecord]
) -> Iterator[tuple[str, Any]]:
    """What these tasks tell beside their files. A check that is done again goes by the planned one's name, so that whoever
    stands after it is the same work."""
    for other in parents:
        name = planned_check(other, known)
        params = known.params(name)
        # What was merged where tells an agent nothing that its inputs do not.
        if other in records and records[other].data and reads.hears(params) and "track" not in params:
            yield name, records[other].data


def latest_files(records: Iterable[TaskRecord]) -> tuple[FileRef, ...]:
    """The files of all records by path; of two versions the later record's."""
    newest: dict[str, FileRef] = {}
    for record in records:
        newest.update({ref.path: ref for ref in record.files})
    return tuple(newest[path] for path in sorted(newest))
