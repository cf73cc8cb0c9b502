"""What a remembered outcome depends on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from factory_core.builds.knowledge import ancestors
from factory_core.builds.memo import memo_digest
from factory_core.contracts.agent import Work
from factory_core.contracts.blueprint import Blueprint, Project
from factory_core.contracts.files import FileRef
from factory_core.contracts.plan import PlannedTask
from factory_core.contracts.template import Manifest, TemplatePackage, ToolchainSpec


def work() -> Work:
    manifest = Manifest(name="t", version="1", title="T", toolchain=ToolchainSpec(lock="l"), work=())
    return Work(
        task="models/Card",
        params={"work": "models", "node": "Card"},
        blueprint=Blueprint(project=Project(name="P", slug="p")),
        template=TemplatePackage(manifest=manifest, root=Path(), digest="d"),
        inputs=(FileRef(path="a", digest="0" * 64, size=1, producer="x"),),
    )


def test_equal_work_has_one_digest_whatever_the_task_is_called() -> None:
    assert memo_digest("builder", "1", work()) == memo_digest("builder", "1", replace(work(), task="other"))


def test_the_producer_of_an_input_does_not_matter_but_its_content_does() -> None:
    (ref,) = work().inputs
    renamed = replace(work(), inputs=(replace(ref, producer="y"),))
    changed = replace(work(), inputs=(replace(ref, digest="1" * 64),))
    assert memo_digest("builder", "1", renamed) == memo_digest("builder", "1", work())
    assert memo_digest("builder", "1", changed) != memo_digest("builder", "1", work())


@pytest.mark.parametrize(
    "change",
    [
        {"params": {"work": "models", "node": "Board"}},
        {"blueprint": Blueprint(project=Project(name="Q", slug="q"))},
        {"upstream": {"design": {"map": 1}}},
    ],
)
def test_each_thing_an_agent_reads_changes_the_digest(change: dict[str, Any]) -> None:
    assert memo_digest("builder", "1", replace(work(), **change)) != memo_digest("builder", "1", work())


def test_a_new_version_of_an_agent_forgets_what_the_old_one_made() -> None:
    assert memo_digest("builder", "1", work()) != memo_digest("builder", "2", work())


def test_ancestors_are_transitive_and_in_the_order_of_the_plan() -> None:
    def task(name: str, *after: str) -> PlannedTask:
        return PlannedTask(id=name, agent="x", title="", team="", phase="", after=after)

    closure = ancestors([task("a"), task("b", "a"), task("c", "a"), task("d", "c", "b")])
    assert closure == {"a": (), "b": ("a",), "c": ("a",), "d": ("a", "b", "c")}
