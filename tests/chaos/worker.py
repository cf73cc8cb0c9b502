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
from functools import partial
from pathlib import Path

import asyncpg
import chores
import msgspec
import plans

from factory_core.builds import line, loop
from factory_core.builds.boards import Boards, TaskBoard
from factory_core.builds.crashpoints import CrashPoints
from factory_core.builds.delivery import DELIVERY_AGENT, Delivery
from factory_core.builds.journal import Completion, CompletionKind, Journal
from factory_core.builds.loop import Pace
from factory_core.builds.runner import BuildRunner, Workshop
from factory_core.builds.tools import Blobs
from factory_core.builds.workspaces import Workspaces
from factory_core.contracts.agent import GateResult, Message, Outcome
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


async def patient(call):
    """A call that may be repeated, until it is answered: its answer may have been lost with the connection."""
    while True:
        try:
            return await call()
        except (
            OSError,
            asyncpg.PostgresConnectionError,
            asyncpg.OperatorInterventionError,
            asyncpg.InterfaceError,
        ):
            await asyncio.sleep(0.1)


class Runner:
    """Plans by name; then files as the product makes them, or made-up work as the graph says."""

    def __init__(self, ledger: Ledger, blobs: Blobs, product: BuildRunner, boards: Boards) -> None:
        self._ledger = ledger
        self._boards = boards
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
        return await self._together(assignment)

    async def _together(self, assignment) -> Completion:
        """Work that has to do with others, with a time or with a person."""
        params = assignment.params
        match params.get("do"):
            case "board":
                await self._write(assignment)
            case "mail":
                return Completion(result={"heard": await self._talk(assignment)})
            case "halt":
                return Completion(result={"ok": True}, halt="as planned")
            case "overdue":
                await asyncio.sleep(plans.OVERDUE)
            case "late" if assignment.tries == 0:
                await asyncio.sleep(plans.OVERDUE)
        return Completion(result={"ok": True}, tasks=plans.children(assignment.task, {"do": "", **params}))

    async def _write(self, assignment) -> None:
        """Line after line on the board of the build, whoever else writes there; each once, as compare-and-set has it."""
        board = TaskBoard(self._boards, assignment)
        for step in range(plans.STEPS):
            line = f"{assignment.build}:{assignment.task}:{assignment.fence}:{step}"
            while True:
                stands = await patient(lambda: board.get("log"))
                lines = stands.value.split()
                if line in lines:
                    break
                text = " ".join((*lines, line))
                posted = await patient(partial(board.put, "log", text, version=stands.version))
                if posted.won:
                    break
            own = await patient(lambda: board.get(f"own/{assignment.task}"))
            await patient(partial(board.put, own.key, str(step), version=own.version))
            await asyncio.sleep(int(assignment.params["ms"]) / 1000)

    async def _talk(self, assignment) -> str:
        """Hear what the others wrote in the round before, and write to them."""
        params = assignment.params
        me, turn = int(params["peer"]), int(params["round"])
        letters = await patient(lambda: self._boards.letters(assignment))
        heard = plans.listening(letter.body for letter in letters)
        others = (peer for peer in range(1, int(params["peers"]) + 1) if peer != me)
        mail = tuple(Message(to=str(peer), body=plans.letter(me, turn, heard)) for peer in others)
        for _ in range(plans.STEPS):  # as after lost answers: what is sent again replaces what was sent
            await patient(lambda: self._boards.send(assignment, Outcome(mail=mail)))
            await asyncio.sleep(int(params["ms"]) / 1000)
        return heard

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
    runner = Runner(ledger, blobs, BuildRunner(journal, blobs, workshop, crash), journal.boards)
    await run_worker(order, runner, jobs, crash=crash)


asyncio.run(main(json.loads(sys.argv[1])))
