"""A specification that was edited and built again, beside the same one built from nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("builds")]

ENTITY = "  Label: {name: text unique}"


def test_an_edited_specification_gives_the_bytes_of_a_full_build_and_runs_no_more_than_was_told(
    taskboard: Any, studio: Any, make_studio: Callable[[], Any], examples: Path, tmp_path: Path
) -> None:
    assert taskboard.code == 0, taskboard.output
    spec = (examples / "taskboard.yaml").read_text()
    assert ENTITY in spec
    path = tmp_path / "taskboard.yaml"
    path.write_text(spec.replace(ENTITY, f"{ENTITY}\n  Milestone: {{name: text(1..40)}}"))
    since = taskboard.report["run"]["build"]
    told = json.loads(studio.run("plan", path, "--since", since, "--json").stdout)
    assert told["changes"]["nodes"] == ["entity:Milestone"]

    edited = studio.build(path, tmp_path / "edited")
    assert edited.code == 0, edited.output
    run = edited.report["run"]
    remembered = {row["task"] for row in run["reused"] if not row["pieces"]}
    assert {row["task"] for row in run["reused"] if row["pieces"]} >= {"gate-tests", "gate-mutants"}
    assert run["task_seconds"].keys() - remembered - {"plan"} <= set(told["again"])

    other = make_studio()
    try:
        full = other.build(path, tmp_path / "full")
    finally:
        other.stop()
    assert full.code == 0, full.output
    assert full.report["run"]["reused"] == []
    for kind in ("*.zip", "*.tar.gz"):
        (first,), (second,) = edited.out.glob(kind), full.out.glob(kind)
        assert first.read_bytes() == second.read_bytes(), kind
