"""Orders and deliveries at their edges: odd names, repeated keys, what failed gates said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_core.builds.delivery import LOG_LINES, Delivered, Delivery, spec_file_name
from factory_core.builds.harvest.contribution import Contribution, check_contributions
from factory_core.builds.journal import Completion
from factory_core.builds.knowledge import BuildKnowledge
from factory_core.builds.record import TaskRecord
from factory_core.builds.tools import Blobs
from factory_core.contracts.agent import GateResult
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
