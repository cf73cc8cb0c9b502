"""A studio in one process, with agents that make one file for each node."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from factory_core.builds.crashpoints import CrashPoints
from factory_core.builds.delivery import Delivery
from factory_core.builds.foresight import foresee
from factory_core.builds.journal import Assignment
from factory_core.builds.knowledge import BuildKnowledge, ancestors
from factory_core.builds.pieces import Pieces
from factory_core.builds.runner import BuildRunner, Workshop
from factory_core.builds.tools import Blobs
from factory_core.builds.workspaces import Workspaces
from factory_core.contracts.agent import GateResult, Outcome, Tools, Work
from factory_core.contracts.files import Produced
from factory_core.contracts.template import (
    Manifest,
    TemplateFile,
    TemplatePackage,
    ToolchainSpec,
    TrackSpec,
    WorkSpec,
)
from factory_core.planning import HierarchicalPlanner, plan_build
from factory_core.specs import read
from factory_plugin_storage.service import LocalStorage

SPEC = b"""project: {name: Cards}
entities:
  Board: {title: text}
  Card: {title: text, board: Board}
requirements:
  - R-1: {text: A card has a board., by: [Card.board]}
"""


def made_by(kind: str) -> tuple[TemplateFile, ...]:
    return (TemplateFile(source="x", path=f"{kind}/{{module}}.txt"),)


WORKS = (
    WorkSpec(name="skeleton", agent="builder", team="platform", files=made_by("skeleton"), reads=()),
    WorkSpec(name="models", agent="builder", each="entity", team="data", files=made_by("models")),
    WorkSpec(name="handbook", agent="builder", stage="document", team="docs", files=made_by("handbook")),
    WorkSpec(
        name="assembly", agent="integrator", stage="integrate", after=("skeleton", "models", "handbook")
    ),
    WorkSpec(name="checks", agent="validator", stage="verify", after=("assembly",)),
    WorkSpec(name="deliver", agent="harvester", stage="deliver", after=("checks",)),
)
TRACKS = (
    TrackSpec(name="foundation", works=("skeleton",)),
    TrackSpec(name="core", title="The core", works=("models",)),
)


class Builder:
    """Makes one file for each node, named after the work unless told otherwise."""

    name = "builder"
    version = "1"

    def __init__(self, paths: dict[str, str]) -> None:
        self.paths = paths

    async def run(self, work: Work, tools: Tools) -> Outcome:
        """The file."""
        kind = work.params["work"]
        nodes = msgspec.json.decode(work.params["nodes"], type=list[str]) or [""]
        files = [
            Produced(path=self.paths.get(kind, f"{kind}/{node or 'all'}.txt"), content=f"{node} \n".encode())
            for node in nodes
        ]
        return Outcome(files=tuple(files))


class Integrator:
    """Stamps each file with its maker, once, and passes every track but those it was told to refuse."""

    name = "integrator"
    version = "1"

    def __init__(self, blobs: Blobs) -> None:
        self.refused: set[str] = set()
        self.gate = "style"
        self.interrupted: set[str] = set()
        self.runs: list[str] = []
        self.blobs = blobs

    async def run(self, work: Work, tools: Tools) -> Outcome:
        """The tidy files and a gate."""
        track = work.params.get("track", "")
        if not track:
            return Outcome()
        self.runs.append(track)
        if track in self.interrupted:
            self.interrupted.discard(track)
            raise RuntimeError("the power is gone")
        files = [
            Produced(path=ref.path, content=stamp)
            for ref in work.inputs
            if not ref.producer.startswith("merge/")
            and await self.blobs.get(ref.digest) != (stamp := ref.producer.encode() + b"\n")
        ]
        passed = track not in self.refused
        gate = GateResult(name=self.gate, passed=passed, figure=f"{len(files)} files")
        return Outcome(files=tuple(files), gates=(gate,))


class Validator:
    """Sees all files, and is content."""

    name = "validator"
    version = "1"

    def __init__(self) -> None:
        self.seen: tuple[str, ...] = ()

    async def run(self, work: Work, tools: Tools) -> Outcome:
        """A green gate."""
        self.seen = tuple(ref.path for ref in work.inputs)
        return Outcome(gates=(GateResult(name="tests", passed=True),))


class Studio:
    """A whole studio in this process, but for its loop."""

    def __init__(self, desk: Any, home: Path) -> None:
        self.desk = desk
        self.storage = LocalStorage(home)
        self.blobs = Blobs(self.storage)
        self.workspaces = Workspaces(home)
        self.paths: dict[str, str] = {}
        self.integrator, self.validator = Integrator(self.blobs), Validator()
        self.manifest = Manifest(
            name="t",
            version="1",
            title="T",
            toolchain=ToolchainSpec(lock="l"),
            work=WORKS,
            tracks=TRACKS,
            changelog="CHANGELOG.md",
        )

    async def build(self, key: str = "key", content: bytes = SPEC) -> UUID:
        """Order and run it."""
        spec = await self.blobs.put(content)
        params = {"spec": spec, "spec_name": "cards.yaml", "template": "t", "max_agents": ""}
        return await self.go_on(await self.desk.submit(key, params=params))

    async def go_on(self, build: UUID) -> UUID:
        """Run every task, one after another, until nothing is left to do."""
        runner = self.runner()
        waiting = [attempt for attempt in (await self.desk.turn()).started if attempt.build == build]
        while waiting:
            attempt = waiting.pop(0)
            try:
                turn = await self.desk.turn((attempt, await runner.run(attempt)))
            except (
                RuntimeError
            ):  # as if the process had died: the worker is given up, another takes its tasks
                await self.desk.age(3600)
                await self.desk.journal.reap(60)
                self.desk.tick = 0
                await self.desk.journal.enlist(self.desk.worker, "again", 8)
                waiting, runner = [], self.runner()
                turn = await self.desk.turn()
            waiting += [attempt for attempt in turn.started if attempt.build == build]
        return build

    def runner(self) -> BuildRunner:
        """A worker that knows nothing yet."""

        workshop = Workshop(
            agents=self.agents,
            templates={"t": self.template, self.template.manifest.name: self.template},
            planner=HierarchicalPlanner(),
            delivery=Delivery(self.desk.journal, self.blobs, self.storage, {"studio": "1"}),
            workspaces=self.workspaces,
            make_tools=self.lend,
        )
        return BuildRunner(self.desk.journal, self.blobs, workshop, CrashPoints())

    async def lend(self, assignment: Assignment, template: TemplatePackage, pieces: Pieces) -> Any:
        """The tools of a task: these agents need none."""
        return None

    @property
    def template(self) -> TemplatePackage:
        return TemplatePackage(manifest=self.manifest, root=Path(), digest="d")

    @property
    def agents(self) -> dict[str, Any]:
        return {
            "builder": Builder(self.paths),
            "integrator": self.integrator,
            "validator": self.validator,
            "auditor": self.validator,
        }

    async def foreseen(self, content: bytes) -> set[str]:
        """The tasks that would run, before they do."""
        blueprint = read(content, name="cards.yaml").blueprint
        assert blueprint
        plan = plan_build(HierarchicalPlanner(), blueprint, self.template)
        known = BuildKnowledge(
            blueprint=blueprint,
            plan=plan,
            template=self.template,
            spec=content,
            spec_name="cards.yaml",
            before=ancestors(plan.tasks),
        )
        tasks = await foresee(self.desk.journal, self.desk.org, known, self.agents)
        return {task.id for task in tasks}

    async def ran(self, build: UUID) -> set[str]:
        """The tasks that an agent did for this very build."""
        rows = await self.desk.journal.results(self.desk.org, build)
        origins = {row.id: row.result.get("origin") for row in rows if row.id != "plan" and row.result}
        return {name for name, origin in origins.items() if origin is None or origin["build"] == str(build)}

    async def handed_out(self, build: UUID) -> dict[str, bytes]:
        rows = await self.desk.journal.results(self.desk.org, build, ("deliver",))
        refs = rows[0].result["data"]["artifacts"]
        return {kind: await self.storage.get(ref["key"]) for kind, ref in refs.items()}

    async def report(self, build: UUID) -> dict[str, Any]:
        return msgspec.json.decode((await self.handed_out(build))["report.json"])
