"""What a build would do again is told before it starts, by walking the plan as the build would."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

import factory_template_neoforge
from factory_core.builds.estimate import Changes, changes_between
from factory_core.builds.foresight import foresee
from factory_core.builds.gather import make_work
from factory_core.builds.knowledge import BuildKnowledge, ancestors
from factory_core.builds.memo import memo_digest
from factory_core.builds.record import TaskRecord
from factory_core.contracts.blueprint import Blueprint
from factory_core.contracts.files import FileRef
from factory_core.contracts.plan import QUIET
from factory_core.contracts.template import TemplatePackage
from factory_core.planning import HierarchicalPlanner, load_template
from factory_core.specs import read
from factory_plugin_agents.direct import render_raw

SPEC = """
project: {name: School}
entities:
  Notice: {title: "text(1..80)"}
  Book: {title: "text(1..80)", price: money}
requirements:
  - R-1: {text: A book has a price., by: [Book.price]}
"""


class Named:
    """An agent by its name alone."""

    version = "1"

    def __init__(self, name: str) -> None:
        self.name = name

    async def run(self, work: Any, tools: Any) -> Any:
        """Estimates run nothing."""
        raise AssertionError


class Memos:
    """A memo in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}

    async def memos(self, org: UUID, digests: Iterable[str]) -> dict[str, dict[str, Any]]:
        return {digest: self.kept[digest] for digest in digests if digest in self.kept}


@pytest.fixture(scope="module")
def template() -> TemplatePackage:
    return load_template(Path(factory_template_neoforge.__file__).parent)


def understood(spec: str) -> Blueprint:
    blueprint = read(spec.encode()).blueprint
    assert blueprint is not None
    return blueprint


def known_of(spec: str, template: TemplatePackage) -> BuildKnowledge:
    plan = HierarchicalPlanner().plan(understood(spec), template)
    return BuildKnowledge(
        blueprint=understood(spec),
        plan=plan,
        template=template,
        spec=spec.encode(),
        spec_name="s.yaml",
        before=ancestors(plan.tasks),
    )


def agents_of(known: BuildKnowledge) -> dict[str, Named]:
    names = {task.agent for task in known.plan.tasks} - {*QUIET, "harvester"}
    return {name: Named(name) for name in names}


def build(known: BuildKnowledge, memos: Memos) -> None:
    """As a worker remembers it: what writers write is worked out, what judges judge is empty."""
    agents, records = agents_of(known), dict[str, TaskRecord]()
    rendered = render_raw(known.blueprint, known.template)
    for task in known.plan.tasks:
        if task.agent not in agents:
            continue
        work = make_work(
            known,
            task.id,
            task.params,
            task.scope,
            before=known.before[task.id],
            parents=frozenset(task.after),
            records=records,
        )
        module = task.id.rpartition("/")[2].lower()
        paths = {f"app/{task.params.get('work', '')}/{module}.py", f"tests/contract/test_{module}.py"}
        made = paths & rendered.keys() if task.agent in ("builder", "migrator", "tester") else set()
        files = tuple(
            FileRef(path=path, digest=str(hash(rendered[path])), size=1, producer=task.id)
            for path in sorted(made)
        )
        records[task.id] = TaskRecord(files=files)
        memos.kept[memo_digest(task.agent, "1", work)] = records[task.id].to_json()


async def run_again(spec: str, template: TemplatePackage, memos: Memos) -> set[str]:
    known = known_of(spec, template)
    return {task.id for task in await foresee(memos, uuid4(), known, agents_of(known))}


@pytest.mark.anyio
async def test_of_a_first_build_everything_runs_and_of_the_same_again_only_the_delivery(
    template: TemplatePackage,
) -> None:
    memos, known = Memos(), known_of(SPEC, template)
    assert await run_again(SPEC, template, memos) == {
        task.id for task in known.plan.tasks if task.agent not in QUIET
    }
    build(known, memos)
    assert await run_again(SPEC, template, memos) == {"deliver"}


@pytest.mark.anyio
async def test_a_field_of_one_entity_runs_nothing_that_reads_only_others(template: TemplatePackage) -> None:
    memos = Memos()
    build(known_of(SPEC, template), memos)
    again = await run_again(SPEC.replace("price: money", "price: money, cover: money?"), template, memos)
    assert {name for name in again if "/" in name} == {
        "models/Book",
        "schemas/Book",
        "rules/Book",
        "routes/Book",
        "contract-tests/Book",
    }
    assert "web" not in again
    assert {"integrate", "gate-tests", "deliver"} <= again


@pytest.mark.anyio
async def test_what_is_only_moved_runs_what_tells_lines_and_nothing_that_judges(
    template: TemplatePackage,
) -> None:
    memos = Memos()
    build(known_of(SPEC, template), memos)
    assert await run_again(f"# a remark\n{SPEC}", template, memos) == {"analyse", "audit", "deliver"}


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("project:", "\n\nproject:", Changes()),
        ("price: money", "price: money?", Changes(nodes=("entity:Book",))),
        ("has a price", "has one price", Changes(requirements=("R-1",))),
        ('  Notice: {title: "text(1..80)"}\n', "", Changes(nodes=("entity:Notice",))),
    ],
)
def test_changes_are_named_and_moving_is_none(old: str, new: str, changes: Changes) -> None:
    assert old in SPEC
    assert changes_between(understood(SPEC), understood(SPEC.replace(old, new))) == changes
