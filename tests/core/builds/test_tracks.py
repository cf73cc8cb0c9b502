"""Tracks: branches in worktrees, merged one after another when their gates have passed, and never otherwise."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from factory_core.builds.control import ForkOrder
from factory_core.builds.crashpoints import CrashPoints
from factory_core.builds.delivery import Delivery
from factory_core.builds.harvest import verify_tree
from factory_core.builds.harvest.workspace import Repository
from factory_core.builds.journal import Assignment
from factory_core.builds.merging import OWNERSHIP
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
from factory_core.planning import HierarchicalPlanner
from factory_plugin_storage.service import LocalStorage

pytestmark = pytest.mark.anyio

SPEC = b"""project: {name: Cards}
entities:
  Board: {title: text}
  Card: {title: text, board: Board}
requirements:
  - R-1: {text: A card has a board., by: [Card.board]}
"""
FILE = (TemplateFile(source="x", path="x"),)
WORKS = (
    WorkSpec(name="skeleton", agent="builder", team="platform", files=FILE),
    WorkSpec(name="models", agent="builder", each="entity", team="data", files=FILE),
    WorkSpec(name="handbook", agent="builder", stage="document", team="docs", files=FILE),
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
        gate = GateResult(name="style", passed=passed, figure=f"{len(files)} files")
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

    async def build(self, key: str = "key") -> UUID:
        """Order and run it."""
        spec = await self.blobs.put(SPEC)
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

        async def lend_nothing(assignment: Assignment, template: TemplatePackage, pieces: Pieces) -> Any:
            return None

        template = TemplatePackage(manifest=self.manifest, root=Path(), digest="d")
        workshop = Workshop(
            agents={
                "builder": Builder(self.paths),
                "integrator": self.integrator,
                "validator": self.validator,
            },
            templates={"t": template},
            planner=HierarchicalPlanner(),
            delivery=Delivery(self.desk.journal, self.blobs, self.storage, {"studio": "1"}),
            workspaces=self.workspaces,
            make_tools=lend_nothing,
        )
        return BuildRunner(self.desk.journal, self.blobs, workshop, CrashPoints())

    async def handed_out(self, build: UUID) -> dict[str, bytes]:
        rows = await self.desk.journal.results(self.desk.org, build, ("deliver",))
        refs = rows[0].result["data"]["artifacts"]
        return {kind: await self.storage.get(ref["key"]) for kind, ref in refs.items()}

    async def report(self, build: UUID) -> dict[str, Any]:
        return msgspec.json.decode((await self.handed_out(build))["report.json"])


@pytest.fixture
def studio(desk: Any, tmp_path: Path) -> Studio:
    return Studio(desk, tmp_path / "home")


@pytest.fixture
async def unpacked(studio: Studio, tmp_path: Path) -> Path:
    archive = (await studio.handed_out(await studio.build()))["zip"]
    (tmp_path / "a.zip").write_bytes(archive)
    zipfile.ZipFile(io.BytesIO(archive)).extractall(tmp_path / "unpacked")
    return tmp_path / "unpacked" / "cards"


async def test_the_history_shows_a_branch_for_each_track_on_a_straight_main(
    unpacked: Path, git: Callable[..., str], tmp_path: Path
) -> None:
    assert git(unpacked, "fsck", "--strict", "--full", "--no-dangling") == ""
    assert git(unpacked, "status", "--porcelain") == ""
    branches = git(unpacked, "branch", "-a", "--format=%(refname:short)").splitlines()
    tracks = [branch.split("/")[1:3] for branch in branches if branch != "main"]
    assert tracks == [["core", "data"], ["docs", "docs"], ["foundation", "platform"]]
    for branch in branches:
        git(unpacked, "merge-base", "--is-ancestor", branch, "main")
    assert git(unpacked, "rev-list", "--merges", "main") == ""
    assert git(
        unpacked, "log", "--reverse", "--format=%(trailers:key=Made-by,valueonly,separator=)"
    ).splitlines() == [
        "specification",
        "skeleton",
        "merge/foundation",
        "models/Board",
        "models/Card",
        "merge/core",
        "handbook",
        "merge/docs",
        "deliver",
    ]
    assert verify_tree(tmp_path / "a.zip").problems == ()


async def test_a_branch_holds_what_its_gates_saw_and_the_change_log_grows_with_each(
    unpacked: Path, git: Callable[..., str]
) -> None:
    assert git(unpacked, "show", "main:models/Card.txt") == "models/Card"
    core = next(
        name for name in git(unpacked, "branch", "--format=%(refname:short)").split() if "/core/" in name
    )
    assert git(unpacked, "ls-tree", "-r", "--name-only", core).splitlines() == [
        "CHANGELOG.md",
        "models/Board.txt",
        "models/Card.txt",
        "skeleton/all.txt",
        "spec/cards.yaml",
    ]
    log = git(unpacked, "show", f"{core}:CHANGELOG.md")
    assert "## The core\n\n- Models: Board\n- Models: Card (R-1)" in log
    assert "Docs" not in log
    assert log + "\n\n## Docs\n\n- Handbook" == git(unpacked, "show", "main:CHANGELOG.md")


async def test_the_report_tells_owner_steps_gates_criteria_and_commits(studio: Studio) -> None:
    tracks = (await studio.report(await studio.build()))["tracks"]
    assert [track["name"] for track in tracks] == ["foundation", "core", "docs"]
    assert all(track["merged"] for track in tracks)
    assert [track["base"] for track in tracks[1:]] == [track["head"] for track in tracks[:-1]]
    core = tracks[1]
    assert (core["owner"], core["requirements"]) == ("data", ["R-1"])
    assert [gate["name"] for gate in core["gates"]] == [OWNERSHIP, "style"]
    assert [step["task"] for step in core["steps"]] == ["models/Board", "models/Card"]
    assert len({step["commit"] for step in core["steps"]}) == 2


async def test_what_checks_the_whole_sees_every_track_as_merged(studio: Studio) -> None:
    await studio.build()
    assert studio.validator.seen == (
        "CHANGELOG.md",
        "handbook/all.txt",
        "models/Board.txt",
        "models/Card.txt",
        "skeleton/all.txt",
    )


async def test_equal_builds_in_two_homes_give_equal_bytes(desk: Any, tmp_path: Path) -> None:
    first, second = Studio(desk, tmp_path / "one"), Studio(desk, tmp_path / "two")
    one = await first.handed_out(await first.build("one"))
    two = await second.handed_out(await second.build("two"))
    assert (one["zip"], one["tar.gz"]) == (two["zip"], two["tar.gz"])


async def test_equal_tracks_are_checked_once_unless_a_person_names_one(studio: Studio) -> None:
    await studio.build("one")
    again = await studio.build("two")
    assert studio.integrator.runs == ["foundation", "core", "docs"]
    order = ForkOrder(org=studio.desk.org, source=again, task="merge/core", idem_key="fork")
    await studio.go_on((await studio.desk.journal.control.fork(order)).build)
    assert studio.integrator.runs == ["foundation", "core", "docs", "core"]


async def test_tracks_on_another_main_are_checked_again(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    await studio.build("one")
    monkeypatch.setattr(Builder, "version", "2")
    studio.paths = {"skeleton": "other/folder.txt"}
    await studio.build("two")
    assert studio.integrator.runs == ["foundation", "core", "docs"] * 2


async def test_a_red_gate_keeps_the_branch_out_of_main_and_fails_the_build(studio: Studio) -> None:
    studio.integrator.refused = {"core"}
    build = await studio.build()
    assert await studio.desk.state(build) == "failed"
    report = await studio.report(build)
    assert [track["merged"] for track in report["tracks"]] == [True, False, False]
    red = next(gate for gate in report["tracks"][1]["gates"] if not gate["passed"])
    assert red["name"] == "style"
    reasons = {row["task"]: row["reason"] for row in report["failures"]}
    assert "style: 2 files" in reasons["merge/core"]
    assert report["tracks"][1]["branch"] in reasons["merge/core"]
    assert "zip" not in await studio.handed_out(build)


async def test_two_owners_of_a_path_fail_the_later_track_and_are_both_named(studio: Studio) -> None:
    studio.paths = {"skeleton": "shared.txt", "handbook": "Shared.txt"}
    build = await studio.build()
    reasons = {row["task"]: row["reason"] for row in (await studio.report(build))["failures"]}
    assert "skeleton and handbook both made" in reasons["merge/docs"]


@pytest.mark.parametrize("track", ["foundation", "core", "docs"])
async def test_a_merge_that_dies_is_done_again_with_the_same_commits(
    studio: Studio, track: str, tmp_path: Path
) -> None:
    undisturbed = Studio(studio.desk, tmp_path / "other")
    expected = await undisturbed.handed_out(await undisturbed.build("undisturbed"))
    studio.manifest = msgspec.structs.replace(studio.manifest)
    studio.integrator.version = "forgetful"
    studio.integrator.interrupted = {track}
    build = await studio.build("disturbed")
    assert studio.integrator.runs.count(track) == 2
    assert (await studio.handed_out(build))["zip"] == expected["zip"]
    kinds = [
        e.kind for e in await studio.desk.journal.events(studio.desk.org, build) if e.task == f"merge/{track}"
    ]
    assert kinds.count("task.done") == 1


async def test_a_journal_that_names_other_commits_is_not_delivered(studio: Studio) -> None:
    async def forge(build: UUID) -> None:
        await studio.desk.connection.execute(
            "update task set result = jsonb_set(result, '{data,track,head}', '\"0000\"')"
            " where build_id = $1 and id = 'merge/core'",
            build,
        )

    original = studio.validator.run

    async def run(work: Work, tools: Tools) -> Outcome:
        rows = await studio.desk.connection.fetch("select build_id from task where id = 'checks'")
        await forge(rows[0]["build_id"])
        return await original(work, tools)

    studio.validator.run = run  # type: ignore[method-assign]  # the moment between the merges and the delivery
    build = await studio.build()
    assert "track core was merged at 0000" in str((await studio.report(build))["failures"])


@pytest.mark.parametrize("paths", [("docs/api/x.md", "docs/api"), ("docs/api", "docs/api/x.md")])
async def test_a_folder_can_become_a_file_and_a_file_a_folder(paths: tuple[str, str], tmp_path: Path) -> None:
    files = [Produced(path=path, content=path.encode()) for path in paths]
    async with Workspaces(tmp_path).open(UUID(int=1)) as workspace:
        for file in files:
            await workspace.begin(Repository(), {file.path: file}, "docs", "feat/docs/docs/1", ())
        found = [path for path in workspace.main.rglob("*") if path.is_file() and ".git" not in path.parts]
        assert [path.relative_to(workspace.main).as_posix() for path in found] == [paths[1]]


async def test_a_delivered_build_leaves_no_workspace(studio: Studio) -> None:
    await studio.build()
    assert studio.workspaces.builds() == ()
