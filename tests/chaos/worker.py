"""A worker of a chaos run: the product's loop and queue, agents that do as their task's name says. ``worker.py JSON``

Each attempt is written to a ledger of this process when its agent starts and when it ends. Some steps are sent twice, as
after a lost answer, and the two answers are compared.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from pathlib import Path

import asyncpg
import chores
import msgspec
import plans

from factory_core.builds import line, loop
from factory_core.builds.crashpoints import CrashPoints
from factory_core.builds.delivery import DELIVERY_AGENT, Delivery
from factory_core.builds.journal import Completion, CompletionKind, Journal
from factory_core.builds.loop import Pace
from factory_core.builds.runner import BuildRunner, Workshop
from factory_core.builds.tools import Blobs
from factory_core.builds.workspaces import Workspaces
from factory_core.contracts.agent import GateResult, Outcome
from factory_core.contracts.files import Produced
from factory_core.contracts.jobs import Job
from factory_core.contracts.sandbox import Limits, SandboxJob
from factory_core.contracts.template import (
    Manifest,
    TemplateFile,
    TemplatePackage,
    ToolchainSpec,
    TrackSpec,
    WorkSpec,
)
from factory_core.kernel.jobs import JobPace
from factory_core.kernel.queue import Queue
from factory_core.kernel.worker import WorkerOrder, run_worker
from factory_core.planning import HierarchicalPlanner
from factory_core.sandbox import choose_sandbox
from factory_plugin_storage.service import LocalStorage

FILES = (TemplateFile(source="x", path="x"),)
WORKS = (
    WorkSpec(name="skeleton", agent="builder", files=FILES),
    WorkSpec(name="models", agent="builder", each="entity", after=("skeleton",), files=FILES),
    WorkSpec(name="check", agent="tester", stage="test", after=("models",)),
    WorkSpec(name="deliver", agent=DELIVERY_AGENT, stage="deliver", after=("check",)),
)
TRACKS = (TrackSpec(name="foundation", works=("skeleton",)), TrackSpec(name="core", works=("models",)))


class Ledger:
    """Lines that are written before anything can kill us."""

    def __init__(self, folder: str) -> None:
        path = Path(folder, f"{os.getpid()}-{time.monotonic_ns()}.jsonl")
        self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    def write(self, **facts) -> None:
        os.write(self._file, (json.dumps({**facts, "at": time.monotonic()}) + "\n").encode())


class Maker:
    """An agent with files; equal work is remembered. A project called "gate …" fails its check."""

    version = "1"

    def __init__(self, name: str) -> None:
        self.name = name

    async def run(self, work, tools) -> Outcome:
        await asyncio.sleep(0.02)
        if self.name == "tester":
            bad = work.blueprint.project.name.startswith("gate")
            return Outcome(gates=(GateResult(name="check", passed=not bad, figure="1 check"),))
        content = f"{work.blueprint.project.name}: {work.task}\n".encode() * 40
        return Outcome(files=(Produced(path=f"src/{work.task.replace('/', '_')}.py", content=content),))


class Runner:
    """Plans by name; then files as the product makes them, or made-up work as the graph says."""

    def __init__(self, ledger: Ledger, blobs: Blobs, product: BuildRunner) -> None:
        self._ledger = ledger
        self._blobs = blobs
        self._product = product
        self._sandbox = choose_sandbox()

    async def run(self, assignment) -> Completion:
        attempt = [str(assignment.build), assignment.task, assignment.fence]
        self._ledger.write(run=attempt)
        how = "crashed"
        try:
            completion = await self._run(assignment)
            how = str(completion.kind)
        except asyncio.CancelledError:
            how = "cancelled"
            raise
        finally:
            self._ledger.write(end=attempt, how=how)
        return completion

    async def _run(self, assignment) -> Completion:
        if assignment.agent == "planner" and "spec" in assignment.params:
            name = plans.name_of((await self._blobs.get(assignment.params["spec"])).decode())
            if not name.startswith(("files", "gate")):
                return plans.plan(name)
        if assignment.agent != "work":
            return await self._product.run(assignment)
        return await self._work(assignment)

    async def _work(self, assignment) -> Completion:
        params = assignment.params
        await asyncio.sleep(int(params.get("ms", "0")) / 1000)
        match params.get("do"):
            case "crash" if assignment.tries == 0:
                raise RuntimeError("as planned")
            case "fail":
                return Completion(kind=CompletionKind.FAILED, reason="as planned")
            case "blob":
                digest = await self._blobs.put(f"{assignment.build} {assignment.task}".encode() * 200)
                return Completion(result={"blob": digest})
            case "hold":
                await self._hold(params["seconds"])
        return Completion(result={"ok": True}, tasks=plans.children(assignment.task, {"do": "", **params}))

    async def _hold(self, seconds: str) -> None:
        """A process in the sandbox, which must not outlive its build."""
        folder = Path(os.environ["CHAOS_WORK"], str(time.monotonic_ns()))
        await asyncio.to_thread(folder.mkdir, parents=True)
        job = SandboxJob(command=("sleep", seconds), work=folder, limits=Limits(wall_seconds=900))
        await self._sandbox.run(job)


def doubling(share: float, ledger: Ledger, rng: random.Random, tell) -> type[Journal]:
    """A journal that sends some steps twice; with ``tell``, one that tells the news before the commit."""

    def compare(reports, turn, again) -> None:
        for report, first, second in zip(reports, turn.seqs, again.seqs, strict=True):
            # What is not the end may have gone on meanwhile.
            if report.kind == "done" and first != second:
                ledger.write(violation=f"A-13 a repeated report of {report.task} got {second} after {first}")
        new = {a.key for a in again.started} - {a.key for a in turn.started}
        if new:
            ledger.write(violation=f"A-13 a repeated step started {len(new)} more tasks")

    class Doubling(Journal):
        async def step(self, worker, tick, reports=(), held=(), **taking):
            if tell is not None:
                await tell(frozenset(report.build for report in reports), False)
            turn = await super().step(worker, tick, reports, held, **taking)
            late = [report for report, seq in zip(reports, turn.seqs, strict=True) if seq is None]
            for report in late:
                ledger.write(refused=[str(report.build), report.task, report.fence], kind=report.kind)
            if rng.random() < share:
                again = await super().step(worker, tick, reports, held, **taking)
                compare(reports, turn, again)
            return turn

    return Doubling


async def main(facts: dict) -> None:
    ledger = Ledger(facts["ledger"])
    storage = LocalStorage(Path(facts["storage"]))
    blobs = Blobs(storage)
    pool = await asyncpg.create_pool(facts["database"], min_size=0, max_size=4)
    journal, crash = Journal(pool), CrashPoints()
    package = TemplatePackage(
        manifest=Manifest(
            name="neoforge",
            version="1",
            title="T",
            toolchain=ToolchainSpec(lock="l"),
            work=WORKS,
            tracks=TRACKS,
        ),
        root=Path(),
        digest="d",
    )

    async def lend_nothing(*_):
        return None

    workshop = Workshop(
        agents={name: Maker(name) for name in ("builder", "tester")},
        templates={"neoforge": package},
        planner=HierarchicalPlanner(),
        delivery=Delivery(journal, blobs, storage, {"studio": "chaos"}),
        workspaces=Workspaces(Path(facts["storage"])),
        make_tools=lend_nothing,
    )
    tell = None
    if facts["mutant"] == "publish before commit":
        tell = Queue(facts["queue"]).tell
        loop.News.add = lambda *_, **__: None
    line.Journal = doubling(facts["doubled"], ledger, random.Random(facts["seed"]), tell)
    order = WorkerOrder(
        database_url=facts["database"],
        queue_url=facts["queue"],
        slots=facts["slots"],
        name=facts["name"],
        pace=msgspec.convert(facts["pace"], Pace),
        arq_poll=0.2,
        job_pace=JobPace(poll=0.5, ttl=facts["pace"]["ttl"]),
    )

    async def chore(number: int) -> None:
        await asyncio.sleep(0.05)
        ledger.write(job=number)

    jobs = (Job(name=chores.NAME, run=chore, queue="analytics", attempts=chores.ATTEMPTS),)
    runner = Runner(ledger, blobs, BuildRunner(journal, blobs, workshop, crash))
    await run_worker(order, runner, jobs, crash=crash)


asyncio.run(main(json.loads(sys.argv[1])))
