"""A studio whose agents do as the test says, on a real journal and runner."""

from __future__ import annotations

import runpy
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from factory_core.builds.crashpoints import CrashPoints
from factory_core.builds.delivery import Delivery
from factory_core.builds.journal import Completion, CompletionKind
from factory_core.builds.runner import BuildRunner, Workshop
from factory_core.builds.tools import Blobs
from factory_core.builds.workspaces import Workspaces
from factory_core.contracts.agent import Outcome, Work
from factory_core.contracts.files import FileRef
from factory_core.contracts.template import Manifest, TemplatePackage, ToolchainSpec, WorkSpec
from factory_core.planning import HierarchicalPlanner
from factory_plugin_storage.service import LocalStorage

MAKING = runpy.run_path(str(Path(__file__).with_name("making.py")))
WORKS, file, gate = MAKING["WORKS"], MAKING["file"], MAKING["gate"]
BROKEN = MAKING["BROKEN"]


class Made:
    """One file; whether a gate passes is what the file says."""

    name, version = "any", "1"

    def __init__(self, act: Callable[[Work, bytes], Outcome]) -> None:
        self.act = act
        self.seen: list[Work] = []

    async def run(self, work: Work, tools: Any) -> Outcome:
        self.seen.append(work)
        code = next((ref for ref in work.inputs if ref.path == "app/x.py"), None)
        return self.act(work, await tools.read(code) if code else b"")


class Lent:
    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def read(self, ref: FileRef) -> bytes:
        return await self._blobs.get(ref.digest)


@pytest.fixture
def build(desk: Any, tmp_path: Path) -> Callable[..., Awaitable[Any]]:
    """``await build("on_failure: …", builder=…)``: a whole build; its states, its report and the agents."""

    async def run(
        behaviours: str = "",
        *,
        cap: int = 60,
        works: tuple[WorkSpec, ...] = WORKS,
        twice: str = "",
        more: str = "",
        late: tuple[str, float] = ("", 0.0),
        planner: Any = None,
        **acts: Any,
    ) -> Any:
        storage = LocalStorage(tmp_path)
        blobs = Blobs(storage)
        agents = {
            "builder": Made(lambda work, code: file(BROKEN)),
            "integrator": Made(lambda work, code: Outcome()),
            "validator": Made(gate),
            **{name: Made(act) for name, act in acts.items()},
        }
        manifest = Manifest(name="t", version="1", title="T", toolchain=ToolchainSpec(lock="l"), work=works)
        template = TemplatePackage(manifest=manifest, root=Path(), digest="d")

        async def lend(*_: Any) -> Any:
            return Lent(blobs)

        workshop = Workshop(
            agents=agents,
            templates={"t": template},
            planner=planner or HierarchicalPlanner(),
            delivery=Delivery(desk.journal, blobs, storage, {}),
            workspaces=Workspaces(tmp_path),
            make_tools=lend,
        )
        runner = BuildRunner(desk.journal, blobs, workshop, CrashPoints())
        entities = "{Card: {title: text}, Board: {title: text}}"
        spec = f"project: {{name: P}}\nentities: {entities}\nbehaviors: {{{behaviours}}}\n{more}"
        params = {"spec_name": "p.yaml", "template": "t", "max_agents": str(cap)}
        params["spec"] = await blobs.put(spec.encode())
        made = await desk.submit(params=params, max_agents=cap, max_seconds=100)
        doubled: list[Any] = []

        async def go_on() -> Any:
            waiting = list((await desk.turn()).started)
            while waiting:
                attempt = waiting.pop(0)
                try:
                    reports = [(attempt, await runner.run(attempt))]
                except TimeoutError as error:  # without a word of the agent, as past a deadline
                    reports = [(attempt, Completion(kind=CompletionKind.FAILED, reason=str(error)))]
                if attempt.task == twice:
                    reports.append((attempt, await runner.run(attempt)))
                    doubled[:] = [completion for _, completion in reports]
                if attempt.task == late[0]:
                    await desk.age(late[1])
                if late[0]:
                    await desk.connection.execute("select journal.curtail()")
                waiting += (await desk.turn(*reports)).started
            tasks = {t.id: t for t in await desk.journal.tasks(desk.org, made) if t.id != "plan"}
            report = await report_of(desk, storage, made)
            return Ended(await desk.state(made), tasks, report, agents, made, doubled, go_on)

        return await go_on()

    return run


async def report_of(desk: Any, storage: LocalStorage, build: Any) -> Any:
    """None before the delivery."""
    rows = await desk.journal.results(desk.org, build, ["deliver"])
    artifacts = rows[0].result.get("data", {}).get("artifacts", {}) if rows else {}
    return msgspec.json.decode(await storage.get(artifacts["report.json"]["key"])) if artifacts else None


class Ended:
    def __init__(
        self, state: str, tasks: Any, report: Any, agents: Any, build: Any, twice: Any, go_on: Any
    ) -> None:
        self.twice, self.go_on = twice, go_on
        self.state, self.tasks, self.report, self.agents, self.build = state, tasks, report, agents, build

    @property
    def added(self) -> dict[str, str]:
        return {name: str(task.state) for name, task in self.tasks.items() if task.parent != "plan"}

    def said(self, code: str) -> list[str]:
        return [one["message"] for one in self.report["findings"] if one["code"] == code]
