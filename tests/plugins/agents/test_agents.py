"""The agents that write: pure, clean in their paths, and honest about what they could not make."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

import factory_template_neoforge
from factory_core.contracts.agent import Agent, FindingLevel, Work
from factory_core.contracts.blueprint import Assumption, Blueprint, Node
from factory_core.contracts.files import FileRef, Produced
from factory_core.contracts.sandbox import SandboxResult
from factory_core.contracts.template import TemplatePackage
from factory_core.planning import HierarchicalPlanner, narrow, reads_for
from factory_core.specs import read
from factory_core.testing.agent import AgentContract, BenchTools
from factory_plugin_agents.agents import Analyzer, Architect, Builder, Documenter, Integrator, Tester
from factory_plugin_agents.direct import load_template, render_raw

TASKBOARD = Path(__file__).parents[3] / "examples" / "taskboard.yaml"


@pytest.fixture(scope="module")
def template() -> TemplatePackage:
    return load_template(Path(factory_template_neoforge.__file__).parent)


@pytest.fixture(scope="module")
def blueprint() -> Blueprint:
    blueprint = read(TASKBOARD.read_bytes()).blueprint
    assert blueprint is not None
    return blueprint


def work_on(blueprint: Blueprint, template: TemplatePackage, name: str, *nodes: str) -> Work:
    params = {"work": name, "nodes": json.dumps(nodes)}
    return Work(task=name, params=params, blueprint=blueprint, template=template, inputs=())


class TestAnalyzer(AgentContract):
    @pytest.fixture
    def agent(self) -> Agent:
        return Analyzer()

    @pytest.fixture
    def works(self, blueprint: Blueprint, template: TemplatePackage) -> Sequence[Work]:
        return [work_on(blueprint, template, "analyse")]


class TestArchitect(AgentContract):
    @pytest.fixture
    def agent(self) -> Agent:
        return Architect()

    @pytest.fixture
    def works(self, blueprint: Blueprint, template: TemplatePackage) -> Sequence[Work]:
        return [work_on(blueprint, template, "design")]


class TestBuilder(AgentContract):
    @pytest.fixture
    def agent(self) -> Agent:
        return Builder()

    @pytest.fixture
    def works(self, blueprint: Blueprint, template: TemplatePackage) -> Sequence[Work]:
        return [
            work_on(blueprint, template, "models", "Card"),
            work_on(blueprint, template, "routes", "Board", "Card", "Label"),
            work_on(blueprint, template, "endpoints", "POST /cards/{id}/finish"),
            work_on(blueprint, template, "service"),
        ]


class TestTester(AgentContract):
    @pytest.fixture
    def agent(self) -> Agent:
        return Tester()

    @pytest.fixture
    def works(self, blueprint: Blueprint, template: TemplatePackage) -> Sequence[Work]:
        return [
            work_on(blueprint, template, "contract-tests", "Card"),
            work_on(blueprint, template, "acceptance", "a finished card stays finished"),
        ]


class TestDocumenter(AgentContract):
    @pytest.fixture
    def agent(self) -> Agent:
        return Documenter()

    @pytest.fixture
    def works(self, blueprint: Blueprint, template: TemplatePackage) -> Sequence[Work]:
        return [work_on(blueprint, template, "docs")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_the_analyzer_names_assumptions_and_what_was_not_understood(
    blueprint: Blueprint, template: TemplatePackage
) -> None:
    told = Blueprint(
        project=blueprint.project,
        assumptions=(Assumption(text="x is text", path="entities.x", line=3),),
        nodes=(Node(path="dreams", line=9), Node(path="project.name", line=1, part="project")),
    )
    outcome = await Analyzer().run(work_on(told, template, "analyse"), BenchTools())
    assert [(item.level, item.code, item.line) for item in outcome.findings] == [
        (FindingLevel.INFO, "assumption", 3),
        (FindingLevel.WARNING, "not-understood", 9),
    ]


@pytest.mark.anyio
async def test_the_analyzer_links_requirements_to_what_names_them(
    blueprint: Blueprint, template: TemplatePackage
) -> None:
    outcome = await Analyzer().run(work_on(blueprint, template, "analyse"), BenchTools())
    matrix = outcome.data["requirements"]
    assert set(matrix) == {"R-1", "R-2", "R-3", "R-4"}
    assert "endpoint:POST /cards/{id}/finish" in matrix["R-2"]
    assert "by:Card.board" in matrix["R-1"]


@pytest.mark.anyio
async def test_the_map_of_the_architect_holds_every_file_once(
    blueprint: Blueprint, template: TemplatePackage
) -> None:
    outcome = await Architect().run(work_on(blueprint, template, "design"), BenchTools())
    drawn = [path for paths in outcome.data["files"].values() for path in paths]
    assert sorted(drawn) == sorted(render_raw(blueprint, template))


def input_of(path: str, content: bytes) -> tuple[FileRef, dict[str, bytes]]:
    return FileRef(path=path, digest=path, size=len(content), producer="models/Card"), {path: content}


@pytest.mark.anyio
async def test_the_integrator_returns_only_what_tidying_changed(
    blueprint: Blueprint, template: TemplatePackage
) -> None:
    one, first = input_of("app/one.py", b"x=1\n")
    two, second = input_of("app/two.py", b"y = 2\n")
    tidy = (Produced(path="app/one.py", content=b"x = 1\n"), Produced(path="app/two.py", content=b"y = 2\n"))
    tools = BenchTools(
        first | second, (SandboxResult(exit_code=0, stdout=b"", stderr=b"", seconds=0.1), tidy)
    )
    work = Work(task="integrate", params={}, blueprint=blueprint, template=template, inputs=(one, two))
    outcome = await Integrator().run(work, tools)
    assert [file.path for file in outcome.files] == ["app/one.py"]


@pytest.mark.anyio
async def test_code_that_cannot_be_formatted_is_a_failure_with_its_reason(
    blueprint: Blueprint, template: TemplatePackage
) -> None:
    tools = BenchTools(
        {}, (SandboxResult(exit_code=1, stdout=b"", stderr=b"one.py:1 broken", seconds=0.1), ())
    )
    work = Work(task="integrate", params={}, blueprint=blueprint, template=template, inputs=())
    assert "one.py:1 broken" in (await Integrator().run(work, tools)).failure


WRITERS = {agent.name: agent for agent in (Builder(), Tester(), Documenter())}


@pytest.mark.anyio
@pytest.mark.parametrize("example", ["clinic.yaml", "orders.yaml", "studio-dialect.md", "taskboard.yaml"])
async def test_what_is_declared_to_be_read_is_all_that_a_writer_needs(
    example: str, template: TemplatePackage
) -> None:
    blueprint = read((TASKBOARD.parent / example).read_bytes(), name=example).blueprint
    assert blueprint is not None
    for task in HierarchicalPlanner().plan(blueprint, template).tasks:
        if task.agent in WRITERS:
            seen = narrow(blueprint, task.scope)
            work = Work(task=task.id, params=task.params, blueprint=seen, template=template, inputs=())
            reads = reads_for(template.manifest.work, task.params)
            less = replace(work, blueprint=reads.of(seen))
            agent = WRITERS[task.agent]
            assert await agent.run(less, BenchTools()) == await agent.run(work, BenchTools()), task.id
