"""Running one task: what it may read is gathered, the memo is asked, the agent runs, its files are stored.

The loop hands over an assignment and gets a completion back; nothing here writes to the journal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from factory_core.builds.boards import twice_made
from factory_core.builds.children import children_of, tools_used, with_failure, without_forgery
from factory_core.builds.crashpoints import CrashPoints
from factory_core.builds.delivery import DELIVERY_AGENT, Delivery
from factory_core.builds.gather import make_work
from factory_core.builds.journal import Assignment, Completion, CompletionKind, Journal, ResultRow
from factory_core.builds.kinship import readable
from factory_core.builds.knowledge import BuildKnowledge, KnowledgeShelf, ancestors
from factory_core.builds.memo import memo_digest
from factory_core.builds.merging import Merger
from factory_core.builds.paths import check_produced
from factory_core.builds.pieces import PieceMemo, Pieces
from factory_core.builds.progress import PLAN_TASK
from factory_core.builds.reactions import Reaction, audited, is_audit, react
from factory_core.builds.recent import ReadsBlobs
from factory_core.builds.record import Reuse, TaskRecord
from factory_core.builds.release import stored_release
from factory_core.builds.rounds import round_of
from factory_core.builds.schemas import rows_of
from factory_core.builds.workspaces import Workspaces
from factory_core.contracts.agent import Agent, Outcome, Spawn, Tools, Work
from factory_core.contracts.blueprint import Blueprint
from factory_core.contracts.events import TaskState
from factory_core.contracts.files import FileRef
from factory_core.contracts.plan import MERGER, Plan, Planner
from factory_core.contracts.template import TemplatePackage
from factory_core.errors import EnvironmentUnfit, FactoryError, ObjectMissing, RateLimited
from factory_core.planning import plan_build
from factory_core.specs import read

__all__ = [
    "PLAN_TASK",
    "BlobStore",
    "BuildRunner",
    "Workshop",
    "load_knowledge",
    "pick_template",
]


class BlobStore(Protocol):
    """The content-addressed store: SHA-256 in hex to bytes."""

    @property
    def recent(self) -> ReadsBlobs: ...

    async def put(self, content: bytes) -> str: ...

    async def get(self, digest: str) -> bytes: ...


class Workshop(Struct, frozen=True, kw_only=True):
    """What a worker builds with."""

    agents: Mapping[str, Agent]
    templates: Mapping[str, TemplatePackage]
    planner: Planner
    delivery: Delivery
    workspaces: Workspaces
    make_tools: Callable[[Assignment, TemplatePackage, Pieces], Awaitable[Tools]]
    """What one task is lent; the pieces are what its agent remembers."""


class BuildRunner:
    """The ``Runner`` of the build loop. An exception is a crash: the loop tries the task again."""

    def __init__(self, journal: Journal, blobs: BlobStore, workshop: Workshop, crash: CrashPoints) -> None:
        self._journal = journal
        self._blobs = blobs
        self._shop = workshop
        self._crash = crash
        self._shelf = KnowledgeShelf()
        self._merger = Merger(journal, blobs, workshop.workspaces)

    async def run(self, assignment: Assignment) -> Completion:
        """Do the task and say how it ended. Raises RateLimited, which is no end: the loop parks the task."""
        self._crash.reach("after_claim")
        try:
            if assignment.agent == "planner":
                return await self._plan(assignment)
            known = await self._known(assignment.org, assignment.build)
            if assignment.agent == DELIVERY_AGENT:
                return await self._deliver(assignment, known)
            if assignment.agent == MERGER:
                return await self._merge(assignment, known)
            return await self._work(assignment, known)
        except RateLimited:
            raise
        except FactoryError as error:
            return _refusal(assignment, error)

    async def _plan(self, assignment: Assignment) -> Completion:
        params = assignment.params
        reading = read(await self._blobs.get(params["spec"]), name=params["spec_name"])
        if reading.blueprint is None:
            return _failed("The specification has errors: studio check shows them.")
        template = self._template(params["template"] or reading.blueprint.project.template)
        cap = int(params["max_agents"]) if params["max_agents"] else None
        plan = plan_build(self._shop.planner, reading.blueprint, template, max_agents=cap)
        tasks, edges = rows_of(plan)
        data = {
            "blueprint": await self._blobs.put(msgspec.json.encode(reading.blueprint, order="sorted")),
            "plan": await self._blobs.put(msgspec.json.encode(plan, order="sorted")),
            "template": template.manifest.name,
            "spec": params["spec"],
            "spec_name": params["spec_name"],
            "release": params.get("release", ""),
        }
        return Completion(result=TaskRecord(data=data).to_json(), tasks=tasks, edges=edges)

    async def _work(self, assignment: Assignment, known: BuildKnowledge) -> Completion:
        agent = self._shop.agents.get(assignment.agent)
        if agent is None:
            raise AgentMissing(assignment.agent)
        work = await self._gather(assignment, known)
        memo = memo_digest(agent.name, agent.version, work)
        record = await self._remembered(assignment, memo)
        if record is not None:
            return _lasting(await self._conclude(assignment, known, work, record, ()), memo)
        pieces = self._pieces(assignment, agent)
        tools = await self._shop.make_tools(assignment, known.template, pieces)
        outcome = await agent.run(work, tools)
        lasting = None if tools_used(tools) else memo
        return await self._complete(assignment, known, work, outcome, lasting, pieces.reused)

    async def _merge(self, assignment: Assignment, known: BuildKnowledge) -> Completion:
        """The track's gates are the work of the template's integrator; without one only paths are checked."""
        agent = self._shop.agents.get(assignment.params.get("checker", ""))
        lasting: str | None = None

        async def check(work: Work) -> TaskRecord:
            nonlocal lasting
            if agent is None:
                return TaskRecord()
            memo = memo_digest(agent.name, agent.version, work)
            record = await self._remembered(assignment, memo)
            if record is not None:
                lasting = memo
                return record
            pieces = self._pieces(assignment, agent)
            tools = await self._shop.make_tools(assignment, known.template, pieces)
            outcome = await agent.run(work, tools)
            lasting = None if tools_used(tools) else memo
            return await self._stored(assignment, outcome, lasting, pieces.reused)

        record = await self._merger.merge(assignment, known, check)
        if not record.failure:
            return Completion(result=record.to_json(), memo=lasting)
        return _concluded(assignment, record, react(known, assignment, record, None, ()))

    async def _remembered(self, assignment: Assignment, memo: str) -> TaskRecord | None:
        """What equal work left, unless a person wants it done afresh. Raises BlobDamaged."""
        found = None if assignment.afresh else await self._journal.memo(assignment.org, memo)
        record = None if found is None else TaskRecord.of_row(assignment.task, found)
        return record if record is not None and await self._kept(record) else None

    def _pieces(self, assignment: Assignment, agent: Agent) -> PieceMemo:
        org, build = assignment.org, assignment.build
        return PieceMemo(self._journal, org, build, agent.name, agent.version, afresh=assignment.afresh)

    async def _kept(self, record: TaskRecord) -> bool:
        """Whether what was remembered is still stored. Raises BlobDamaged."""
        try:
            for file in record.files:
                await self._blobs.get(file.digest)
        except ObjectMissing:
            return False
        return True

    async def _stored(
        self, assignment: Assignment, outcome: Outcome, memo: str | None, pieces: tuple[Reuse, ...]
    ) -> TaskRecord:
        """The outcome with its files in the store, and the digest of the work if it lasts. Raises PathRefused."""
        check_produced(outcome.files)
        self._crash.reach("before_blob")
        files = tuple(
            [
                FileRef(
                    path=file.path,
                    digest=await self._blobs.put(file.content),
                    size=len(file.content),
                    producer=assignment.task,
                    executable=file.executable,
                )
                for file in outcome.files
            ]
        )
        self._crash.reach("after_blob")
        await self._journal.boards.send(assignment, outcome)
        # A gate may have failed for want of time or memory, so the same order must be able to try it again; and the
        # tasks that an outcome asks for are no part of its record, nor are the letters it sends.
        passed = all(gate.passed for gate in outcome.gates)
        lasting = memo if passed and not (outcome.spawn or outcome.mail) else None
        return replace(
            TaskRecord.of(outcome, files),
            origin=Reuse(build=str(assignment.build), digest=lasting) if lasting else None,
            pieces=pieces,
        )

    async def _complete(
        self,
        assignment: Assignment,
        known: BuildKnowledge,
        work: Work,
        outcome: Outcome,
        memo: str | None,
        pieces: tuple[Reuse, ...],
    ) -> Completion:
        outcome = without_forgery(assignment.agent, outcome)
        record = await self._stored(assignment, outcome, memo, pieces)
        lasting = record.origin.digest if record.origin is not None else None
        return _lasting(await self._conclude(assignment, known, work, record, outcome.spawn), lasting)

    async def _conclude(
        self,
        assignment: Assignment,
        known: BuildKnowledge,
        work: Work,
        record: TaskRecord,
        asked: tuple[Spawn, ...],
    ) -> Completion:
        """The end of a task, remembered or not: what the agent asked for and what the spec's behaviours add."""
        conflict = await twice_made(self._journal.boards, assignment, record.files, work.inputs)
        record = with_failure(record, conflict)
        closed = round_of(assignment.task, known) if known.plan.behaviours else None
        names = [task for task in (*closed.checks, closed.fixer) if task != assignment.task] if closed else []
        rows = await self._journal.results(assignment.org, assignment.build, names) if names else ()
        others = {row.id: TaskRecord.of_row(row.id, row.result) for row in rows}
        fixed = others.pop(closed.fixer, None) if closed else None
        reaction = react(known, assignment, record, closed, list(others.values()), fixed)
        return _concluded(assignment, record, reaction, asked)

    async def _gather(self, assignment: Assignment, known: BuildKnowledge) -> Work:
        spawned = await self._journal.spawned(assignment.org, assignment.build)
        before = readable(assignment.task, known.before, spawned)
        records = await self._records(assignment, known, before)
        parents = await self._journal.parents(assignment.org, assignment.build, assignment.task)
        work = make_work(
            known,
            assignment.task,
            assignment.params,
            assignment.scope,
            before=before,
            parents=parents,
            records=records,
        )
        return replace(work, mail=await self._journal.boards.letters(assignment))

    async def _records(
        self, assignment: Assignment, known: BuildKnowledge, tasks: Sequence[str]
    ) -> dict[str, TaskRecord]:
        """The records of these tasks; only what changed since the worker asked last is read."""
        seen = {task: known.done[task][0] for task in tasks if task in known.done}
        rows = await self._journal.news(assignment.org, assignment.build, tasks, seen) if tasks else ()
        found = {row.id: TaskRecord.of_row(row.id, row.result) for row in rows}
        known.done.update({row.id: (row.fence, found[row.id]) for row in rows if row.state is TaskState.DONE})
        return {
            task: found.get(task) or known.done[task][1] for task in tasks if task in found or task in seen
        }

    async def _deliver(self, assignment: Assignment, known: BuildKnowledge) -> Completion:
        delivered = await self._shop.delivery.deliver(assignment.org, assignment.build, known)
        await self._shop.workspaces.remove(assignment.build)
        record = TaskRecord(data=delivered.data, failure=delivered.failure).to_json()
        if delivered.failure:
            return Completion(kind=CompletionKind.FAILED, reason=delivered.failure, result=record)
        return Completion(result=record)

    async def _known(self, org: UUID, build: UUID) -> BuildKnowledge:
        async def load() -> BuildKnowledge:
            (row,) = await self._journal.results(org, build, (PLAN_TASK,))
            return await load_knowledge(row, self._blobs, self._shop.templates)

        return await self._shelf.get(str(build), load)

    def _template(self, name: str) -> TemplatePackage:
        return pick_template(self._shop.templates, name)


class AgentMissing(FactoryError):
    """The plan names an agent that no plugin brings to this worker."""

    def __init__(self, name: str) -> None:
        super().__init__(f"No agent {name!r} is installed: see studio plugins.")


class TemplateMissing(FactoryError):
    """The specification asks for a template that is not installed."""

    status = 422
    exit_code = 2

    def __init__(self, name: str, installed: tuple[str, ...]) -> None:
        self.name = name
        self.installed = installed
        super().__init__(
            f"There is no template {name!r}. Installed: {', '.join(installed) or 'none'}. "
            "Change project.template or install the template's package."
        )


def pick_template(templates: Mapping[str, TemplatePackage], name: str) -> TemplatePackage:
    """The installed template of that name. Raises TemplateMissing."""
    if name not in templates:
        raise TemplateMissing(name, tuple(sorted(templates)))
    return templates[name]


async def load_knowledge(
    row: ResultRow, blobs: BlobStore, templates: Mapping[str, TemplatePackage]
) -> BuildKnowledge:
    """Blueprint, plan and template of a planned build, from the result of its task ``plan``."""
    data = TaskRecord.of_row(row.id, row.result).data
    plan = msgspec.json.decode(await blobs.get(data["plan"]), type=Plan)
    return BuildKnowledge(
        blueprint=msgspec.json.decode(await blobs.get(data["blueprint"]), type=Blueprint),
        plan=plan,
        template=pick_template(templates, data["template"]),
        spec=await blobs.get(data["spec"]),
        spec_name=data["spec_name"],
        release=await stored_release(data.get("release", ""), blobs),
        before=ancestors(plan.tasks),
    )


def _lasting(completion: Completion, memo: str | None) -> Completion:
    """The completion with what its result is remembered under, also when it was remembered itself: who wants the task done
    afresh has that forgotten. A failure that something is done about is nothing to remember."""
    return completion if completion.result.get("failure") else replace(completion, memo=memo)


def _concluded(
    assignment: Assignment, record: TaskRecord, reaction: Reaction, asked: tuple[Spawn, ...] = ()
) -> Completion:
    """With what is done about it. Only then has a task that failed ended well for the journal: what comes after it waits
    for that, and the report still names the failure unless the task was tried again."""
    if record.failure and not (reaction.spawn or reaction.halt):
        return Completion(kind=CompletionKind.FAILED, reason=record.failure, result=record.to_json())
    tasks, edges = children_of(assignment, (*(() if record.failure else asked), *reaction.spawn))
    return Completion(
        result=record.to_json(), tasks=tasks, edges=edges, halt=reaction.halt, risk=reaction.risk
    )


def _failed(reason: str) -> Completion:
    return Completion(kind=CompletionKind.FAILED, reason=reason, result=TaskRecord(failure=reason).to_json())


def _refusal(assignment: Assignment, error: FactoryError) -> Completion:
    """A fault that another try would not mend. What the machine lacks is marked, for the exit code. An audit that could not
    be made halts the build no less than one that was."""
    data = {"environment": True} if isinstance(error, EnvironmentUnfit) else {}
    record = TaskRecord(failure=str(error), data=data)
    if is_audit(assignment):
        return Completion(result=record.to_json(), halt=audited(assignment, record))
    return Completion(kind=CompletionKind.FAILED, reason=str(error), result=record.to_json())
