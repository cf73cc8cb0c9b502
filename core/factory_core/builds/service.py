"""What people and programs ask of builds: start one, look at it, stop it, fetch what it made."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from math import fsum
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from factory_core.builds.archive import History
from factory_core.builds.comparison import BuildComparison, View, compare
from factory_core.builds.control import ForkOrder
from factory_core.builds.delivery import DELIVERY_AGENT, ArtifactRef, spec_file_name
from factory_core.builds.errors import BudgetTooSmall, TaskMissing
from factory_core.builds.estimate import Changes, Estimate, changes_between
from factory_core.builds.foresight import foresee
from factory_core.builds.ids import uuid7
from factory_core.builds.journal import (
    AttemptRow,
    BuildRow,
    Journal,
    ResultRow,
    Submission,
    Submitted,
    TaskRow,
)
from factory_core.builds.knowledge import BuildKnowledge, ancestors
from factory_core.builds.orders import (
    OWN_PARAMS,
    ArtifactMissing,
    BuildOrder,
    Fork,
    ForkUnfit,
    SpecRejected,
    Started,
)
from factory_core.builds.record import TaskRecord
from factory_core.builds.release import (
    NEWEST,
    ReleaseUnfit,
    kept_release,
    refs_of,
    release_files,
)
from factory_core.builds.runner import PLAN_TASK, BlobStore, pick_template
from factory_core.builds.shelf import Shelf
from factory_core.builds.wake import Reminds
from factory_core.contracts.agent import Agent
from factory_core.contracts.blueprint import Blueprint
from factory_core.contracts.events import BuildState, Event, TaskState
from factory_core.contracts.plan import QUIET, Plan, Planner
from factory_core.contracts.storage import Storage
from factory_core.contracts.template import TemplatePackage
from factory_core.planning import plan_build
from factory_core.specs import read

__all__ = [
    "ArtifactMissing",
    "ArtifactRef",
    "BuildOrder",
    "BuildService",
    "Fork",
    "ForkUnfit",
    "SpecRejected",
    "Started",
]


class BuildService:
    """Builds of one organisation at a time. Transactions are the journal's."""

    def __init__(
        self,
        journal: Journal,
        blobs: BlobStore,
        storage: Storage,
        templates: Mapping[str, TemplatePackage],
        planner: Planner,
        queue: Reminds | None = None,
        agents: Mapping[str, Agent] | None = None,
    ) -> None:
        self._journal = journal
        self._blobs = blobs
        self._storage = storage
        self._history = History(journal, storage)
        self._shelf = Shelf(journal, storage)
        self._templates = templates
        self._planner = planner
        self._queue = queue
        self._agents = agents or {}

    async def start(
        self, org: UUID, order: BuildOrder, *, options: Mapping[str, str] | None = None, release: str = ""
    ) -> Started:
        """Check the specification, quote the build and submit it. ``options`` are kept with it; ``release`` is that of
        another build, as its plan names it.

        Raises SpecRejected, TemplateMissing, PlanError, BudgetTooSmall, ReleaseUnfit, IdempotencyConflict, QueueFull."""
        order = replace(order, name=spec_file_name(order.name))  # what a journal in JSON can keep
        known, cap = self._planned(order)
        blueprint = known.blueprint
        budget, quoted = blueprint.constraints.budget_nano_usd, known.plan.quote.nano_usd
        if budget is not None and quoted > budget:
            raise BudgetTooSmall(quoted, budget)
        files, onto = await self._release(org, order, known)
        release = await kept_release(files, self._blobs) if files else release
        spec = await self._blobs.put(order.spec)
        submitted = await self._journal.submit(
            Submission(
                org=org,
                idem_key=order.key or str(uuid7()),
                spec_digest=_order_digest(order, spec),
                options={
                    **(options or {}),
                    "project": blueprint.project.name,
                    "slug": blueprint.project.slug,
                    **({"onto": onto} if onto else {}),
                    **({} if budget is None else {"budget_nano_usd": budget}),
                },
                params={
                    "spec": spec,
                    "spec_name": order.name,
                    "template": order.template,
                    "max_agents": str(cap),
                    **({"release": release} if release else {}),
                },
                project=blueprint.project.slug,
                max_agents=cap,
                max_seconds=blueprint.constraints.max_build_seconds,
            )
        )
        await self._woken(submitted.build, True)
        return Started(build=submitted.build, created=submitted.created, quote=known.plan.quote)

    async def estimate(self, org: UUID, order: BuildOrder, *, since: UUID | None = None) -> Estimate:
        """What the order would do again, and what is new in it since that build (the project's newest by default).
        Nothing is changed. Raises SpecRejected, TemplateMissing, PlanError, BuildMissing, ReleaseUnfit."""
        known, _ = self._planned(order)
        files, _ = await self._release(org, order, known)
        known = replace(known, release=refs_of(files))
        again = await foresee(self._journal, org, known, self._agents)
        earlier, blueprint = await self._earlier(org, known.blueprint.project.slug, since)
        return Estimate(
            tasks=sum(task.agent not in QUIET for task in known.plan.tasks),
            again=tuple(task.id for task in again),
            seconds=round(fsum(task.seconds for task in again), 3),
            total_seconds=known.plan.quote.total_seconds,
            since=earlier,
            changes=changes_between(blueprint, known.blueprint) if blueprint else Changes(),
        )

    async def get(self, org: UUID, build: UUID) -> BuildRow:
        """Raises BuildMissing."""
        return await self._journal.build(org, build)

    async def newest(self, org: UUID, *, limit: int = 50) -> tuple[BuildRow, ...]:
        """The organisation's builds, newest first."""
        return await self._journal.builds(org, limit=limit)

    async def tasks(self, org: UUID, build: UUID) -> tuple[TaskRow, ...]:
        """The tasks in the plan's order."""
        return await self._shelf.tasks(org, build)

    async def events(self, org: UUID, build: UUID, *, after: int = 0, limit: int = 1000) -> tuple[Event, ...]:
        """Events ``after + 1`` and on, archived or not. Raises ArchiveDamaged."""
        return await self._history.events(org, build, after=after, limit=limit)

    async def attempts(self, org: UUID, build: UUID) -> tuple[AttemptRow, ...]:
        """Every try of every task, in the order they started, archived or not. Raises BuildMissing, ArchiveDamaged."""
        await self._journal.build(org, build)
        return await self._history.attempts(org, build)

    async def plan(self, org: UUID, build: UUID) -> Plan | None:
        """The plan, once there is one."""
        data = await self._data(org, build, PLAN_TASK)
        return msgspec.json.decode(await self._blobs.get(data["plan"]), type=Plan) if data else None

    async def artifacts(self, org: UUID, build: UUID) -> dict[str, ArtifactRef]:
        """What the build hands out by now: ``report.json``, ``report.md`` and, when it passed, ``zip`` and ``tar.gz``."""
        for row in await self._shelf.results(org, build):
            if row.agent == DELIVERY_AGENT:  # no other agent may say what is handed out
                found = TaskRecord.of_row(row.id, row.result).data.get("artifacts", {})
                return msgspec.convert(found, dict[str, ArtifactRef])
        return {}

    async def artifact(self, org: UUID, build: UUID, name: str) -> tuple[ArtifactRef, bytes]:
        """One of them with its content. Raises ArtifactMissing, BuildMissing."""
        row = await self._journal.build(org, build)
        refs = await self.artifacts(org, build)
        if name not in refs:
            raise ArtifactMissing(build, name, row.state)
        return refs[name], await self._storage.get(refs[name].key)

    async def compare(self, org: UUID, left: UUID, right: UUID) -> BuildComparison:
        """Two builds of the organisation side by side. Raises BuildMissing."""
        return compare(await self._view(org, left), await self._view(org, right))

    async def _view(self, org: UUID, build: UUID) -> View:
        row = await self._journal.build(org, build)
        report = (await self.artifacts(org, build)).get("report.json")
        return View(
            row=row,
            tasks=await self._shelf.tasks(org, build),
            results=await self._shelf.results(org, build),
            report=msgspec.json.decode(await self._storage.get(report.key)) if report is not None else {},
        )

    async def failures(self, org: UUID, build: UUID) -> tuple[ResultRow, ...]:
        """The tasks that ended badly, first cause first."""
        rows = await self._shelf.results(org, build)
        return tuple(row for row in rows if row.state in (TaskState.FAILED, TaskState.QUARANTINED))

    async def result(self, org: UUID, build: UUID, task: str) -> ResultRow:
        """What a task left so far. Raises BuildMissing, TaskMissing."""
        await self._journal.build(org, build)
        for row in await self._shelf.results(org, build, (task,)):
            return row
        raise TaskMissing(build, task)

    async def cancel(self, org: UUID, build: UUID) -> bool:
        """Stop it; false when it had ended. Raises BuildMissing."""
        return await self._woken(build, await self._journal.cancel(org, build))

    async def pause(self, org: UUID, build: UUID, *, by: str, reason: str = "") -> bool:
        """Start nothing new; what runs ends and is kept. False: it was paused. Raises BuildMissing, BuildUnready."""
        paused = await self._journal.control.pause(org, build, by=by, reason=reason)
        await self._told(build)
        return paused

    async def resume(self, org: UUID, build: UUID, *, by: str) -> bool:
        """Let a paused build go on. False: it was not paused. Raises BuildMissing, BuildUnready."""
        return await self._woken(build, await self._journal.control.resume(org, build, by=by))

    async def decide(self, org: UUID, build: UUID, *, approve: bool, by: str, note: str = "") -> bool:
        """Let a halted build go on, or cancel it. False: that was the answer already.

        Raises BuildMissing, BuildUnready."""
        decided = await self._shelf.awake(
            org, build, lambda control: control.decide(org, build, approve=approve, by=by, note=note)
        )
        return await self._woken(build, decided)

    async def retry(self, org: UUID, build: UUID, *, tasks: Sequence[str] = (), by: str) -> bool:
        """Run tasks again with all that follows from them; without names all that did not end well. False: it is under way.

        Raises BuildMissing, TaskMissing, BuildUnready."""
        retried = await self._shelf.awake(
            org, build, lambda control: control.retry(org, build, tasks=tasks, by=by)
        )
        return await self._woken(build, retried)

    async def fork(self, org: UUID, order: Fork, *, by: str) -> Submitted:
        """A build of its own from a task of one that has ended, or from another specification for one.

        Raises BuildMissing, TaskMissing, BuildUnready, ForkUnfit, IdempotencyConflict; with a specification also what
        ``start`` raises."""
        source = await self._journal.build(org, order.source)
        options = {**source.options, "forked_from": str(order.source)}
        if order.spec is not None:
            if order.task or order.params:
                raise ForkUnfit
            return await self._planned_anew(org, order, options)
        if own := OWN_PARAMS.intersection(order.params if order.task in ("", PLAN_TASK) else ()):
            raise ForkUnfit(f"{', '.join(sorted(own))} of the task {PLAN_TASK} is kept from the source.")
        asked = ForkOrder(
            org=org,
            source=order.source,
            task=order.task or PLAN_TASK,
            idem_key=order.key or str(uuid7()),
            params=order.params,
            options=options,
            by=by,
        )
        made = await self._shelf.awake(org, order.source, lambda control: control.fork(asked))
        await self._woken(made.build, made.created)
        return made

    async def _planned_anew(self, org: UUID, order: Fork, options: dict[str, Any]) -> Submitted:
        """What is equal is answered from memory, task by task, as in any build."""
        tasks = await self._shelf.tasks(org, order.source)
        params = next(task.params for task in tasks if task.id == PLAN_TASK)
        started = await self.start(
            org,
            BuildOrder(
                spec=order.spec or b"",
                name=order.name or params["spec_name"],
                template=params["template"],
                max_agents=int(params["max_agents"]) if params["max_agents"] else None,
                key=order.key,
            ),
            options={name: options[name] for name in ("forked_from", "onto") if name in options},
            release=params.get("release", ""),
        )
        return Submitted(build=started.build, created=started.created)

    async def _woken(self, build: UUID, changed: bool) -> bool:
        """Workers look where something changed, and whoever follows the build."""
        if not changed:
            await self._told(build)
        elif self._queue is not None:
            await self._queue.wake(build)
        return changed

    async def _told(self, build: UUID) -> None:
        """Whoever follows the build looks. Where nothing changed, too: the answer to what did may have been lost."""
        if self._queue is not None:
            await self._queue.tell(frozenset((build,)), False)

    def _planned(self, order: BuildOrder) -> tuple[BuildKnowledge, int]:
        """The plan and its cap. A plan is a pure function, so this is what task "plan" will store."""
        reading = read(order.spec, name=order.name)
        if reading.blueprint is None:
            raise SpecRejected(reading.problems)
        blueprint = reading.blueprint
        template = pick_template(self._templates, order.template or blueprint.project.template)
        cap = min(blueprint.constraints.max_agents, order.max_agents or blueprint.constraints.max_agents)
        plan = plan_build(self._planner, blueprint, template, max_agents=cap)
        known = BuildKnowledge(
            blueprint=blueprint,
            plan=plan,
            template=template,
            spec=order.spec,
            spec_name=order.name,
            before=ancestors(plan.tasks),
        )
        return known, cap

    async def _release(
        self, org: UUID, order: BuildOrder, known: BuildKnowledge
    ) -> tuple[dict[str, bytes], str]:
        """What is read of the release that the order names, and the build it is of. Raises ReleaseUnfit."""
        if order.release and order.onto:
            raise ReleaseUnfit("Two releases are named, a build and an archive.")
        if order.release:
            return await asyncio.to_thread(release_files, order.release, known.template), ""
        if not order.onto:
            return {}, ""
        slug = known.blueprint.project.slug
        build = await self._named(org, order.onto, slug)
        if build is None:
            raise ReleaseUnfit(f"No build {order.onto} of the project {slug} has passed.")
        _, archive = await self.artifact(org, build, "zip")
        return await asyncio.to_thread(release_files, archive, known.template), str(build)

    async def _named(self, org: UUID, onto: str, slug: str) -> UUID | None:
        """The build of the project, if it passed. Raises BuildMissing."""
        if onto == NEWEST:
            return await self._journal.passed(org, slug)
        try:
            row = await self._journal.build(org, UUID(onto))
        except ValueError as error:
            raise ReleaseUnfit(f"{onto!r} is neither the id of a build nor {NEWEST}.") from error
        return row.id if row.options.get("slug") == slug and row.state is BuildState.PASSED else None

    async def _earlier(
        self, org: UUID, slug: str, since: UUID | None
    ) -> tuple[UUID | None, Blueprint | None]:
        """A build and its blueprint, if it was planned: that one, or the project's newest."""
        rows = (
            [await self._journal.build(org, since)]
            if since is not None
            else [
                row for row in await self._journal.builds(org, limit=200) if row.options.get("slug") == slug
            ]
        )
        for row in rows:
            data = await self._data(org, row.id, PLAN_TASK)
            if data:
                content = await self._blobs.get(data["blueprint"])
                return row.id, msgspec.json.decode(content, type=Blueprint)
        return None, None

    async def _data(self, org: UUID, build: UUID, task: str) -> dict[str, Any]:
        rows = await self._shelf.results(org, build, (task,))
        done = [row for row in rows if row.state is TaskState.DONE]
        return TaskRecord.of_row(task, done[0].result).data if done else {}


def _order_digest(order: BuildOrder, spec: str) -> str:
    """What an idempotency key stands for: the specification and how it is to be built."""
    facts = [spec, order.name, order.template, order.max_agents]
    if order.onto or order.release:
        facts += [order.onto, hashlib.sha256(order.release).hexdigest()]
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()
