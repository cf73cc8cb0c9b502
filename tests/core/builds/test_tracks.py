"""Tracks: branches in worktrees, merged one after another when their gates have passed, and never otherwise."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import msgspec
import pytest

from factory_core.builds.control import ForkOrder
from factory_core.builds.harvest import verify_tree
from factory_core.builds.harvest.workspace import Repository
from factory_core.builds.merging import OWNERSHIP
from factory_core.builds.workspaces import Workspaces
from factory_core.contracts.agent import Outcome, Tools, Work
from factory_core.contracts.files import Produced
from factory_core.contracts.template import WorkSpec

pytestmark = pytest.mark.anyio


@pytest.fixture
async def unpacked(studio: Any, tmp_path: Path) -> Path:
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


async def test_the_report_tells_owner_steps_gates_criteria_and_commits(studio: Any) -> None:
    tracks = (await studio.report(await studio.build()))["tracks"]
    assert [track["name"] for track in tracks] == ["foundation", "core", "docs"]
    assert all(track["merged"] for track in tracks)
    assert [track["base"] for track in tracks[1:]] == [track["head"] for track in tracks[:-1]]
    core = tracks[1]
    assert (core["owner"], core["requirements"]) == ("data", ["R-1"])
    assert [gate["name"] for gate in core["gates"]] == [OWNERSHIP, "style"]
    assert [step["task"] for step in core["steps"]] == ["models/Board", "models/Card"]
    assert len({step["commit"] for step in core["steps"]}) == 2


async def test_what_checks_the_whole_sees_every_track_as_merged(studio: Any) -> None:
    await studio.build()
    assert studio.validator.seen == (
        "CHANGELOG.md",
        "handbook/all.txt",
        "models/Board.txt",
        "models/Card.txt",
        "skeleton/all.txt",
    )


async def test_equal_builds_in_two_homes_give_equal_bytes(
    tracks: ModuleType, desk: Any, tmp_path: Path
) -> None:
    first, second = tracks.Studio(desk, tmp_path / "one"), tracks.Studio(desk, tmp_path / "two")
    one = await first.handed_out(await first.build("one"))
    two = await second.handed_out(await second.build("two"))
    assert (one["zip"], one["tar.gz"]) == (two["zip"], two["tar.gz"])


async def test_equal_tracks_are_checked_once_unless_a_person_names_one(studio: Any) -> None:
    await studio.build("one")
    again = await studio.build("two")
    assert studio.integrator.runs == ["foundation", "core", "docs"]
    order = ForkOrder(org=studio.desk.org, source=again, task="merge/core", idem_key="fork")
    await studio.go_on((await studio.desk.journal.control.fork(order)).build)
    assert studio.integrator.runs == ["foundation", "core", "docs", "core"]


async def test_tracks_on_another_main_are_checked_again(
    tracks: ModuleType, studio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await studio.build("one")
    monkeypatch.setattr(tracks.Builder, "version", "2")
    studio.paths = {"skeleton": "other/folder.txt"}
    await studio.build("two")
    assert studio.integrator.runs == ["foundation", "core", "docs"] * 2


async def test_a_red_gate_keeps_the_branch_out_of_main_and_fails_the_build(studio: Any) -> None:
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


@pytest.mark.parametrize(
    ("audited", "said"),
    [(False, "security: 2 files"), (True, "security: 2 files. The audit says: tests: ")],
)
async def test_a_risk_keeps_the_branch_out_and_waits_for_a_person(
    studio: Any, tracks: ModuleType, audited: bool, said: str
) -> None:
    if audited:
        *works, deliver = tracks.WORKS
        audit = WorkSpec(name="audit", agent="auditor", stage="verify", after=("checks",))
        works = (*works, audit, msgspec.structs.replace(deliver, after=("audit",)))
        studio.manifest = msgspec.structs.replace(studio.manifest, work=works)
    studio.integrator.refused, studio.integrator.gate = {"core"}, "security"
    build = await studio.build(content=tracks.SPEC + b"behaviors: {on_security_risk: halt_and_audit}\n")
    assert await studio.desk.state(build) == "halted"
    assert (await studio.desk.journal.build(studio.desk.org, build)).reason == said
    assert await studio.desk.journal.control.decide(studio.desk.org, build, approve=True, by="Ann")
    await studio.go_on(build)
    assert await studio.desk.state(build) == "failed"
    report = await studio.report(build)
    assert [track["merged"] for track in report["tracks"]] == [True, False, True]
    assert "security: 2 files" in {row["task"]: row["reason"] for row in report["failures"]}["merge/core"]


async def test_two_owners_of_a_path_fail_the_later_track_and_are_both_named(studio: Any) -> None:
    studio.paths = {"skeleton": "shared.txt", "handbook": "Shared.txt"}
    build = await studio.build()
    reasons = {row["task"]: row["reason"] for row in (await studio.report(build))["failures"]}
    assert "skeleton and handbook both made" in reasons["merge/docs"]


@pytest.mark.parametrize("track", ["foundation", "core", "docs"])
async def test_a_merge_that_dies_is_done_again_with_the_same_commits(
    tracks: ModuleType, studio: Any, track: str, tmp_path: Path
) -> None:
    undisturbed = tracks.Studio(studio.desk, tmp_path / "other")
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


async def test_a_journal_that_names_other_commits_is_not_delivered(studio: Any) -> None:
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

    studio.validator.run = run  # the moment between the merges and the delivery
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


async def test_a_delivered_build_leaves_no_workspace(studio: Any) -> None:
    await studio.build()
    assert studio.workspaces.builds() == ()
