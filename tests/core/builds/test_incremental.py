"""A build of an edited specification does what changed, and what it does was told before."""

from __future__ import annotations

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
