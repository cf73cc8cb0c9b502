"""Orders and deliveries at their edges: odd names, repeated keys, what failed gates said."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_core.builds.control import ForkOrder
from factory_core.builds.crashpoints import CrashPoints
from factory_core.builds.delivery import LOG_LINES, Delivered, Delivery, spec_file_name
from factory_core.builds.harvest.contribution import Contribution, check_contributions
from factory_core.builds.journal import Assignment, Completion, CompletionKind, NewTask
from factory_core.builds.knowledge import BuildKnowledge, KnowledgeShelf
from factory_core.builds.pieces import PieceMemo, Pieces
from factory_core.builds.record import TaskRecord
from factory_core.builds.runner import BuildRunner, Workshop
from factory_core.builds.tools import Blobs
from factory_core.builds.workspaces import Workspaces
from factory_core.contracts.agent import GateResult, Outcome, Spawn, Tools, Work
from factory_core.contracts.blueprint import Blueprint, Project
from factory_core.contracts.files import Produced
from factory_core.contracts.storage import Storage
from factory_core.contracts.template import Manifest, TemplatePackage, ToolchainSpec, WorkSpec
from factory_core.planning import HierarchicalPlanner
from factory_plugin_storage.service import LocalStorage


@pytest.mark.parametrize(
    ("given_as", "kept_as"),
    [
        ("taskboard.yaml", "taskboard.yaml"),
        ("Mein Plan_2.v1.md", "Mein Plan_2.v1.md"),
        ("Größe.yml", "Größe.yml"),
        ("standard input", "standard input"),
        ("../../etc/passwd", "passwd"),
        ("C:\\specs\\shop.yaml", "shop.yaml"),
        ("what? (draft*).yaml", "what- -draft-.yaml"),
        ("a\x00b\n.yaml", "a-b-.yaml"),
        (".git", "git"),
        ("GIT~1", "GIT-1"),
        ("\udcff.yaml", "yaml"),
        ("..", "spec.yaml"),
        ("", "spec.yaml"),
        ("x" * 300 + ".yaml", "x" * 55 + ".yaml"),
    ],
)
def test_a_specification_keeps_its_name_as_far_as_every_system_allows(given_as: str, kept_as: str) -> None:
    assert spec_file_name(given_as) == kept_as


@given(st.text(st.characters(), max_size=300))
def test_no_name_of_a_specification_fails_a_delivery(name: str) -> None:
    kept = spec_file_name(name)
    file = Produced(path=f"spec/{kept}", content=b"")
    check_contributions([Contribution(producer="specification", title="t", files=(file,))])
    assert spec_file_name(kept) == kept
    assert msgspec.json.decode(msgspec.json.encode(kept)) == kept
    assert "\x00" not in kept


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return LocalStorage(tmp_path)


WORK = WorkSpec(name="service", agent="builder")


def knowledge(spec_name: str) -> BuildKnowledge:
    manifest = Manifest(name="t", version="1", title="T", toolchain=ToolchainSpec(lock="l"), work=(WORK,))
    template = TemplatePackage(manifest=manifest, root=Path(), digest="d")
    blueprint = Blueprint(project=Project(name="P", slug="p"))
    return BuildKnowledge(
        blueprint=blueprint,
        plan=HierarchicalPlanner().plan(blueprint, template),
        template=template,
        spec=b"project: {name: P}",
        spec_name=spec_name,
        before={},
    )


async def deliver(
    desk: Any, noop: Any, storage: Storage, gate: GateResult, spec_name: str = "p.yaml"
) -> Delivered:
    build, started = await desk.planned([noop("gate-tests")])
    record = TaskRecord(gates=(gate,)).to_json()
    await desk.turn((started["gate-tests"], Completion(result=record)))
    delivery = Delivery(desk.journal, Blobs(storage), storage, {"studio": "1"})
    return await delivery.deliver(desk.org, build, knowledge(spec_name))


async def report_of(delivered: Delivered, storage: Storage) -> dict[str, Any]:
    return msgspec.json.decode(await storage.get(delivered.data["artifacts"]["report.json"]["key"]))


@pytest.mark.anyio
async def test_the_report_ends_with_what_the_failed_gates_said_last(
    desk: Any, noop: Any, storage: Storage
) -> None:
    detail = "\n".join(f"line {number}" for number in range(LOG_LINES + 5))
    failed = GateResult(name="tests", passed=False, figure="1 failed", detail=detail)
    told = (await report_of(await deliver(desk, noop, storage, failed), storage))["run"]["log_tail"]
    assert told == [f"tests: line {number}" for number in range(5, LOG_LINES + 5)]


@pytest.mark.anyio
async def test_a_gate_that_passed_says_nothing(desk: Any, noop: Any, storage: Storage) -> None:
    passed = GateResult(name="tests", passed=True, detail="a warning")
    assert (await report_of(await deliver(desk, noop, storage, passed), storage))["run"]["log_tail"] == []


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["what?.yaml", ".git", "a\x00b", "con:fig|.yaml"])
async def test_an_odd_name_of_the_specification_is_delivered(
    desk: Any, noop: Any, storage: Storage, name: str
) -> None:
    delivered = await deliver(desk, noop, storage, GateResult(name="tests", passed=True), spec_name=name)
    files = [row["path"] for row in (await report_of(delivered, storage))["files"]]
    assert f"spec/{spec_file_name(name)}" in files


@pytest.mark.anyio
async def test_a_late_try_leaves_alone_what_the_journal_names(desk: Any, noop: Any, storage: Storage) -> None:
    build, started = await desk.planned([noop("gate-tests")])
    delivery = Delivery(desk.journal, Blobs(storage), storage, {"studio": "1"})
    first = (await delivery.deliver(desk.org, build, knowledge("p.yaml"))).data["artifacts"]["report.json"]
    await desk.turn((started["gate-tests"], Completion(result=TaskRecord().to_json())))
    await delivery.deliver(desk.org, build, knowledge("p.yaml"))
    assert hashlib.sha256(await storage.get(first["key"])).hexdigest() == first["sha256"]


class Builder:
    """Makes one file and tells how often it was asked."""

    name = "builder"
    version = "1"

    def __init__(self, **outcome: Any) -> None:
        self.runs = 0
        self.outcome = Outcome(files=(Produced(path="a.py", content=b"a = 1"),), **outcome)

    async def run(self, work: Work, tools: Tools) -> Outcome:
        """The same each time."""
        self.runs += 1
        return self.outcome


class Workplace:
    """Runs builds of one specification as far as the agent's task."""

    def __init__(self, desk: Any, storage: Storage, home: Path, agent: Builder) -> None:
        async def lend_pieces(_: Assignment, __: TemplatePackage, pieces: Pieces) -> Any:
            return pieces

        self.desk, self.blobs, self.known = desk, Blobs(storage), knowledge("p.yaml")
        workshop = Workshop(
            agents={"builder": agent},
            templates={"t": self.known.template},
            planner=HierarchicalPlanner(),
            delivery=Delivery(desk.journal, self.blobs, storage, {}),
            make_tools=lend_pieces,
            workspaces=Workspaces(home),
        )
        self.runner = BuildRunner(desk.journal, self.blobs, workshop, CrashPoints())

    async def order(self, key: str) -> tuple[UUID, Completion]:
        """A new build, and how the agent's task ended."""
        spec = await self.blobs.put(self.known.spec)
        params = {"spec": spec, "spec_name": "p.yaml", "template": "t", "max_agents": ""}
        build = await self.desk.submit(key, params=params)
        return build, await self.go_on(build)

    async def go_on(self, build: UUID) -> Completion:
        """How the agent's task ended; the build is cancelled there."""
        waiting = [attempt for attempt in (await self.desk.turn()).started if attempt.build == build]
        while True:
            attempt = waiting.pop()
            completion = await self.runner.run(attempt)
            if attempt.agent == "planner":
                completion = msgspec.structs.replace(completion, tasks=(*completion.tasks, LATER))
            waiting += (await self.desk.turn((attempt, completion))).started
            if attempt.agent == "builder":
                await self.desk.journal.cancel(self.desk.org, build)
                await self.desk.turn(*((other, CANCELLED) for other in waiting), want=0)
                return completion


CANCELLED = Completion(kind=CompletionKind.CANCELLED)
LATER = NewTask(id="later", agent="noop", delay=3600.0)
"""Keeps the build from ending by itself."""


@pytest.fixture
def workplace(desk: Any, storage: Storage, tmp_path: Path) -> Callable[[Builder], Workplace]:
    return lambda agent: Workplace(desk, storage, tmp_path, agent)


@pytest.fixture
def build_twice(workplace: Callable[[Builder], Workplace]) -> Callable[..., Awaitable[Completion]]:
    """Two builds of one specification, the second after ``between``; the second's completion of the agent's task."""

    async def build_twice(
        agent: Builder, between: Callable[[], Awaitable[object]] | None = None
    ) -> Completion:
        place = workplace(agent)
        await place.order("first")
        if between is not None:
            await between()
        return (await place.order("second"))[1]

    return build_twice


@pytest.mark.anyio
async def test_equal_work_is_done_once(build_twice: Any) -> None:
    agent = Builder()
    again = await build_twice(agent)
    assert agent.runs == 1
    assert again.result["files"][0]["path"] == "a.py"


@pytest.mark.anyio
async def test_the_report_names_the_build_that_work_was_reused_from(
    desk: Any, build_twice: Any, storage: Storage
) -> None:
    again = await build_twice(Builder())
    second, first = [row.id for row in await desk.journal.builds(desk.org)]
    delivery = Delivery(desk.journal, Blobs(storage), storage, {})
    run = (await report_of(await delivery.deliver(desk.org, second, knowledge("p.yaml")), storage))["run"]
    reused = {
        "task": "service",
        "build": str(first),
        "digests": [again.result["origin"]["digest"]],
        "pieces": False,
    }
    assert run["reused"] == [reused]
    assert (await report_of(await delivery.deliver(desk.org, first, knowledge("p.yaml")), storage))["run"][
        "reused"
    ] == []


class Piecemeal(Builder):
    """Judges pieces, those it remembers not again."""

    found = 1

    async def run(self, work: Work, tools: Tools) -> Outcome:
        """Its name is in every outcome, so that the outcome is not remembered as a whole."""
        self.known = await tools.recall(["x", "y"])
        await tools.remember({"x": self.found})
        return msgspec.structs.replace(self.outcome, gates=(GateResult(name="g", passed=False),))


@pytest.mark.anyio
async def test_an_agent_recalls_pieces_of_earlier_builds_and_the_record_says_so(
    desk: Any, build_twice: Any
) -> None:
    agent = Piecemeal()
    again = await build_twice(agent)
    assert agent.known == {"x": 1}
    (piece,) = again.result["pieces"]
    assert piece["build"] == str((await desk.journal.builds(desk.org))[1].id)


@pytest.mark.anyio
async def test_what_a_person_names_is_done_again_though_memory_answered_it(desk: Any, workplace: Any) -> None:
    agent = Builder()
    place = workplace(agent)
    await place.order("first")
    build, answered = await place.order("second")
    assert agent.runs == 1
    assert answered.memo
    planned = ForkOrder(org=desk.org, source=build, task="plan", idem_key="plan")
    await place.go_on((await desk.journal.control.fork(planned)).build)
    assert agent.runs == 1  # nobody named it
    await desk.journal.control.retry(desk.org, build, tasks=["service"])
    await place.go_on(build)
    assert agent.runs == 2
    order = ForkOrder(org=desk.org, source=build, task="service", idem_key="fork")
    await place.go_on((await desk.journal.control.fork(order)).build)
    assert agent.runs == 3
    await place.order("third")
    assert agent.runs == 3


@pytest.mark.anyio
async def test_pieces_are_not_recalled_for_a_task_that_a_person_names(desk: Any, workplace: Any) -> None:
    agent = Piecemeal()
    place = workplace(agent)
    build, _ = await place.order("first")
    await desk.journal.control.retry(desk.org, build, tasks=["service"])
    agent.found = 2
    await place.go_on(build)
    assert agent.known == {}
    await place.order("second")
    assert agent.known == {"x": 2}  # what was found last


@pytest.mark.anyio
async def test_agents_and_versions_of_one_agent_do_not_share_what_they_remember(desk: Any) -> None:
    build = await desk.submit()
    await PieceMemo(desk.journal, desk.org, build, "judge", "1").remember({"x": 1})
    assert await PieceMemo(desk.journal, desk.org, build, "judge", "1").recall(["x"]) == {"x": 1}
    assert await PieceMemo(desk.journal, desk.org, build, "judge", "2").recall(["x"]) == {}
    assert await PieceMemo(desk.journal, desk.org, build, "other", "1").recall(["x"]) == {}


@pytest.mark.anyio
async def test_what_is_known_of_a_build_is_read_once_however_many_tasks_start_together() -> None:
    reads: list[str] = []

    async def load() -> BuildKnowledge:
        reads.append("read")
        await asyncio.sleep(0)
        if len(reads) == 1:
            raise OSError("not now")
        return knowledge("p.yaml")

    shelf = KnowledgeShelf()
    with pytest.raises(OSError, match="not now"):
        await shelf.get("b", load)
    found = await asyncio.gather(*(shelf.get("b", load) for _ in range(20)))
    assert len(reads) == 2
    assert len({id(known) for known in found}) == 1


@pytest.mark.anyio
async def test_a_gate_that_failed_is_tried_again(build_twice: Any) -> None:
    agent = Builder(gates=(GateResult(name="tests", passed=False, figure="out of memory"),))
    await build_twice(agent)
    assert agent.runs == 2


@pytest.mark.anyio
async def test_work_that_asked_for_more_work_is_asked_again(build_twice: Any) -> None:
    agent = Builder(spawn=(Spawn(behaviour="more", n=1, agent="builder", title="More"),))
    assert (await build_twice(agent)).tasks
    assert agent.runs == 2


@pytest.mark.anyio
async def test_what_is_remembered_but_no_longer_stored_is_made_again(
    build_twice: Any, storage: Storage
) -> None:
    agent = Builder()
    digest = hashlib.sha256(b"a = 1").hexdigest()
    await build_twice(agent, lambda: storage.delete(f"blobs/{digest[:2]}/{digest}"))
    assert agent.runs == 2
    assert await Blobs(storage).get(digest) == b"a = 1"
