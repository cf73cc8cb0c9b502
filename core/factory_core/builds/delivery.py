"""The last task of a build: repository, report and archives from what the other tasks left, whatever happened to them."""

from __future__ import annotations

import hashlib
import platform
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from factory_core.builds.harvest.archive import make_tar_gz, make_zip
from factory_core.builds.harvest.compose import make_report, with_run
from factory_core.builds.harvest.contribution import Contribution
from factory_core.builds.harvest.evidence import Evidence
from factory_core.builds.harvest.markdown import report_markdown
from factory_core.builds.harvest.report import (
    REPORT_JSON,
    REPORT_MARKDOWN,
    AddedRow,
    BuildReport,
    FailureRow,
    ReusedRow,
    RunFacts,
    report_json,
)
from factory_core.builds.harvest.workspace import make_repository
from factory_core.builds.history import (
    filled,
    given,
    merge_of,
    merged_in,
    planned_of,
    rest_of,
    spec_file_name,
    title_of,
)
from factory_core.builds.journal import Journal, ResultRow, TaskRow
from factory_core.builds.kinship import in_order
from factory_core.builds.knowledge import BuildKnowledge
from factory_core.builds.merging import HistoryDiffers, committed, merged_entries
from factory_core.builds.recent import ReadsBlobs
from factory_core.builds.record import TaskRecord
from factory_core.builds.rounds import RETRY, Verified, settle_rounds
from factory_core.builds.track_rows import track_rows
from factory_core.contracts.events import TaskState
from factory_core.contracts.files import FileRef, Produced
from factory_core.contracts.storage import Storage
from factory_core.errors import FactoryError

__all__ = ["DELIVERY_AGENT", "ArtifactRef", "Delivered", "Delivery", "spec_file_name"]

DELIVERY_AGENT = "harvester"
_UNWELL = frozenset({TaskState.FAILED, TaskState.QUARANTINED, TaskState.SKIPPED})
PLAN_TASK = "plan"
LOG_LINES = 40
"""Of each gate that failed."""
_MEDIA = {
    ".zip": "application/zip",
    ".tar.gz": "application/gzip",
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
}


class ArtifactRef(Struct, frozen=True, kw_only=True):
    """A file a build hands out: its name, where the storage keeps it, its SHA-256 and its size in bytes."""

    name: str
    key: str
    sha256: str
    size: int
    media_type: str


class Delivered(Struct, frozen=True, kw_only=True):
    """``data`` goes into the journal. ``failure`` says why there is no archive."""

    data: dict[str, Any]
    failure: str = ""


class Delivery:
    """Makes what a build hands out and puts it into the storage, before the commit that names it."""

    def __init__(
        self, journal: Journal, blobs: ReadsBlobs, storage: Storage, versions: dict[str, str]
    ) -> None:
        self._journal = journal
        self._blobs = blobs
        self._storage = storage
        self._versions = versions

    async def deliver(self, org: UUID, build: UUID, known: BuildKnowledge) -> Delivered:
        """The report always; the archives when every gate and case passed."""
        every = await self._journal.results(org, build)
        spawned = await self._journal.spawned(org, build)
        verified = settle_rounds(known, {row.id: row.state for row in every}, _done(every))
        rows = [row for row in every if row.id not in verified.dropped]
        order = in_order([row.id for row in rows], [task.id for task in known.plan.tasks], spawned)
        kept = {row.id: row for row in rows}
        records = {name: TaskRecord.of_row(name, kept[name].result) for name in order}
        contributions = (given(known), *await self._contributions(records, known))
        tasks = await self._journal.tasks(org, build)
        report = make_report(self._evidence(known, rows, records, contributions, verified, tasks))
        files: list[tuple[str, str, bytes]] = []
        try:
            if report.passed:
                files += _archives(report, await self._history(records, known), known.blueprint.project.slug)
        except FactoryError as error:  # a failed build leaves its report, however it failed
            failure = FailureRow(task="deliver", reason=str(error))
            report = replace(report, passed=False, failures=(*report.failures, failure))
        beside = with_run(report, await self._run_facts(org, build, known, records, tasks))
        files.append(("report.json", REPORT_JSON, report_json(beside)))
        files.append(("report.md", REPORT_MARKDOWN, report_markdown(beside)))
        artifacts = {kind: await self._keep(build, name, content) for kind, name, content in files}
        return Delivered(data={"artifacts": to_builtins(artifacts)}, failure=_why_not(report))

    async def _contributions(
        self, records: dict[str, TaskRecord], known: BuildKnowledge
    ) -> tuple[Contribution, ...]:
        """Each path under the task that made it first, with the content it had last (formatting is no authorship)."""
        newest: dict[str, FileRef] = {}
        owners: dict[str, str] = {}
        for task, record in records.items():
            for ref in record.files:
                owners.setdefault(ref.path, task)
                newest[ref.path] = ref
        made: dict[str, list[Produced]] = {}
        for path, owner in owners.items():
            ref = newest[path]
            content = await self._blobs.get(ref.digest)
            made.setdefault(owner, []).append(Produced(path=path, content=content, executable=ref.executable))
        return tuple(
            Contribution(producer=task, title=title_of(task, known), files=tuple(files))
            for task, files in made.items()
        )

    async def _history(
        self, records: dict[str, TaskRecord], known: BuildKnowledge
    ) -> tuple[Contribution, ...]:
        """The commits: those of the tracks as they were merged, then what came after. Raises HistoryDiffers."""
        entries = [entry for track in known.plan.tracks for entry in merged_entries(track, records, known)]
        later = rest_of(entries, records, known)
        made = (given(known), *await filled((*entries, *later), self._blobs))
        tips = committed(made).tips
        for merged in (merged_in(merge_of(track, records)) for track in known.plan.tracks):
            if merged is not None and merged.head != tips.get(merged.branch, merged.base):
                raise HistoryDiffers(merged.track, merged.head, tips.get(merged.branch, ""))
        return made

    def _evidence(
        self,
        known: BuildKnowledge,
        rows: Sequence[ResultRow],
        records: dict[str, TaskRecord],
        contributions: tuple[Contribution, ...],
        verified: Verified,
        tasks: Sequence[TaskRow],
    ) -> Evidence:
        template = known.template.manifest
        optional = {task.id for task in tasks if task.optional}
        merges = {track.merge for track in known.plan.tracks}
        return Evidence(
            blueprint=known.blueprint,
            plan=known.plan,
            manifest=template,
            contributions=contributions,
            gates=tuple(
                gate
                for task, record in records.items()
                if planned_of(task, known) not in merges
                for gate in record.gates
            ),
            cases=tuple(case for record in records.values() for case in record.cases),
            findings=(
                *(finding for record in records.values() for finding in record.findings),
                *verified.findings,
            ),
            failures=tuple(_failures(rows, records, optional)),
            added=_added(tasks),
            tracks=track_rows(known, records),
            optimization=verified.optimization,
            release=known.release,
            versions={
                **self._versions,
                "template": f"{template.name} {template.version} {known.template.digest[:16]}",
            },
        )

    async def _run_facts(
        self,
        org: UUID,
        build: UUID,
        known: BuildKnowledge,
        records: dict[str, TaskRecord],
        tasks: Sequence[TaskRow],
    ) -> RunFacts:
        row = await self._journal.build(org, build)
        now = datetime.now(UTC)
        return RunFacts(
            build=str(build),
            host=platform.node(),
            seconds=round((now - row.created_at).total_seconds(), 3),
            nano_usd=0,
            task_seconds={
                task.id: round((task.ended_at - task.started_at).total_seconds(), 3)
                for task in tasks
                if task.started_at and task.ended_at
            },
            log_tail=tuple(_last_words(records.values())),
            reused=tuple(_reused(str(build), records)),
            phase_seconds=_phases(row.created_at, tasks),
            onto=str(row.options.get("onto", "")),
            budget_nano_usd=known.blueprint.constraints.budget_nano_usd,
        )

    async def _keep(self, build: UUID, name: str, content: bytes) -> ArtifactRef:
        media = next(media for suffix, media in _MEDIA.items() if name.endswith(suffix))
        digest = hashlib.sha256(content).hexdigest()
        # Under its digest, so that a late try cannot put another report behind what the journal names.
        key = f"artifacts/{build}/{digest[:16]}/{name}"
        await self._storage.put(key, content)
        return ArtifactRef(name=name, key=key, sha256=digest, size=len(content), media_type=media)


def _archives(
    report: BuildReport, contributions: Sequence[Contribution], slug: str
) -> list[tuple[str, str, bytes]]:
    """Kind, name and bytes of each archive. Raises TwoOwners or PathRefused."""
    told = Contribution(
        producer="deliver",
        title="Report what was built and how it is known",
        files=(
            Produced(path=REPORT_JSON, content=report_json(report)),
            Produced(path=REPORT_MARKDOWN, content=report_markdown(report)),
        ),
    )
    tree = make_repository((*contributions, told))
    return [
        ("zip", f"{slug}.zip", make_zip(slug, tree)),
        ("tar.gz", f"{slug}.tar.gz", make_tar_gz(slug, tree)),
    ]


def _added(tasks: Iterable[TaskRow]) -> tuple[AddedRow, ...]:
    """Who was called, in the order of the journal: ``<parent>/<behaviour>/<n>``."""
    added = (task for task in tasks if task.parent not in (None, PLAN_TASK))
    called = Counter((task.parent or "", task.id.rsplit("/", 2)[1]) for task in added)
    return tuple(
        AddedRow(task=task, behaviour=behaviour, agents=agents)
        for (task, behaviour), agents in called.items()
    )


def _phases(start: datetime, tasks: Iterable[TaskRow]) -> dict[str, float]:
    ended: dict[str, float] = {}
    for task in tasks:
        if task.ended_at is not None:
            after = round((task.ended_at - start).total_seconds(), 3)
            ended[task.phase] = max(after, ended.get(task.phase, 0.0))
    return ended


def _done(rows: Sequence[ResultRow]) -> dict[str, TaskRecord]:
    return {row.id: TaskRecord.of_row(row.id, row.result) for row in rows if row.state is TaskState.DONE}


def _failures(
    rows: Sequence[ResultRow], records: dict[str, TaskRecord], optional: Container[str]
) -> Iterable[FailureRow]:
    """What ended badly. That includes what was only audited: a person who lets a build go on makes no failure good."""
    names = {row.id for row in rows}
    for row in rows:
        failure = records[row.id].failure if row.state is TaskState.DONE else ""
        lasting = failure and f"{row.id}/{RETRY}/1" not in names
        if lasting or row.state in _UNWELL:
            yield FailureRow(task=row.id, reason=failure or row.reason, optional=row.id in optional)


def _last_words(records: Iterable[TaskRecord]) -> Iterable[str]:
    """How the output of each failed gate ends."""
    for gate in (gate for record in records for gate in record.gates if not gate.passed):
        yield from (f"{gate.name}: {line}" for line in gate.detail.splitlines()[-LOG_LINES:])


def _reused(build: str, records: dict[str, TaskRecord]) -> Iterable[ReusedRow]:
    """Tasks whose outcome is another build's, and of the others what they knew of pieces, by the build it is from."""
    for task, record in records.items():
        origin = record.origin
        if origin is not None and origin.build != build:
            yield ReusedRow(task=task, build=origin.build, digests=(origin.digest,), pieces=False)
            continue
        for other in sorted({piece.build for piece in record.pieces}):
            digests = tuple(piece.digest for piece in record.pieces if piece.build == other)
            yield ReusedRow(task=task, build=other, digests=digests, pieces=True)


def _why_not(report: BuildReport) -> str:
    """Why the build did not pass, most telling first; empty when it did."""
    if report.passed:
        return ""
    failed = [f"gate {gate.name}: {gate.figure or 'failed'}" for gate in report.gates if not gate.passed]
    failed += [f"acceptance case {case.name!r} failed" for case in report.acceptance if not case.passed]
    failed += [f"task {row.task}: {row.reason}" for row in report.failures]
    return "; ".join(failed[:5]) or "not everything that had to be checked was checked"
