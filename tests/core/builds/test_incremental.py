"""A build of an edited specification does what changed, and what it does was told before."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from msgspec.structs import replace

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("old", "new", "checked"),
    [
        (b"", b"", []),
        (b"project:", b"# a remark\nproject:", []),
        (b"Card: {title: text,", b"Card: {title: text, due: date?,", []),
        (b"  Card:", b"  Tag: {title: text}\n  Card:", ["core"]),
    ],
)
async def test_what_is_foreseen_is_what_runs_and_tracks_that_stay_are_not_checked_again(
    studio: Any, tracks: ModuleType, old: bytes, new: bytes, checked: list[str]
) -> None:
    assert old in tracks.SPEC
    content = tracks.SPEC.replace(old, new, 1)
    narrow = {"assembly": ("skeleton/**",)}
    works = [replace(work, reads=narrow.get(work.name, work.reads)) for work in studio.manifest.work]
    studio.manifest = replace(studio.manifest, work=tuple(works))
    build = await studio.build("one")
    assert await studio.foreseen(tracks.SPEC) == {"deliver"}
    studio.integrator.runs.clear()
    foreseen = await studio.foreseen(content)
    build = await studio.build("two", content)
    assert await studio.desk.state(build) == "passed"
    assert studio.integrator.runs == checked
    assert await studio.ran(build) <= foreseen
    assert {name for name in foreseen if name.startswith("merge/")} >= {f"merge/{name}" for name in checked}
    assert "merge/foundation" not in foreseen


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Card: {title: text,", b"Card: {title: text, due: date?,"),
        (b"  Card:", b"  Tag: {title: text}\n  Card:"),
        (b"  Board: {title: text}\n  Card: {title: text, board: Board}", b"  Card: {title: text}"),
        (b"[Card.board]", b"[Card.title]"),
        (b"project:", b"# a remark\nproject:"),
    ],
)
async def test_an_edited_spec_gives_the_bytes_of_a_full_build(
    desk: Any,
    tracks: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    old: bytes,
    new: bytes,
) -> None:
    assert old in tracks.SPEC
    content = tracks.SPEC.replace(old, new, 1).replace(b"[Card.board]", b"[Card.title]")
    first = tracks.Studio(desk, tmp_path / "one")
    await first.build("before")
    build = await first.build("edited", content)
    tasks = {task.id for task in await desk.journal.tasks(desk.org, build)} - {"plan"}
    assert await first.ran(build) < tasks
    second = tracks.Studio(desk, tmp_path / "two")
    # Other versions, so that nothing of the first is remembered.
    monkeypatch.setattr(tracks.Builder, "version", "full")
    second.integrator.version = second.validator.version = "full"
    whole = await second.build("full", content)
    assert await second.ran(whole) == tasks
    edited, full = await first.handed_out(build), await second.handed_out(whole)
    assert (edited["zip"], edited["tar.gz"]) == (full["zip"], full["tar.gz"])
