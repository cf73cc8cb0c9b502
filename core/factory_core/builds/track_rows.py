"""What the report says of each track."""

from __future__ import annotations

from collections.abc import Mapping

from factory_core.builds.harvest.report import GateRow, StepRow, TrackRow
from factory_core.builds.history import merge_of, merged_in, tasks_of, title_of
from factory_core.builds.knowledge import BuildKnowledge
from factory_core.builds.record import TaskRecord
from factory_core.contracts.plan import Track

__all__ = ["track_rows"]


def track_rows(known: BuildKnowledge, records: Mapping[str, TaskRecord]) -> tuple[TrackRow, ...]:
    """In the order of the merges."""
    return tuple(_row(track, known, records) for track in known.plan.tracks)


def _row(track: Track, known: BuildKnowledge, records: Mapping[str, TaskRecord]) -> TrackRow:
    merge = merge_of(track, records) or TaskRecord()
    merged = merged_in(merge)
    commits = dict(merged.commits) if merged is not None else {}
    tasks = dict.fromkeys([*track.steps, *tasks_of(track, records, known)])
    steps = [
        StepRow(
            task=task,
            title=title_of(task, known),
            commit=commits.get(task, ""),
            files=len(records[task].files) if task in records else 0,
        )
        for task in tasks
    ]
    return TrackRow(
        name=track.name,
        title=track.title,
        branch=track.branch,
        owner=track.owner,
        merged=merged is not None,
        base=merged.base if merged is not None else "",
        head=merged.head if merged is not None else "",
        steps=tuple(steps),
        gates=tuple(
            GateRow(name=gate.name, passed=gate.passed, figure=gate.figure, limit=gate.limit)
            for gate in merge.gates
        ),
        requirements=track.requirements,
        cases=track.cases,
    )
