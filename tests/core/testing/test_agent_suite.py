"""The suite for agents accepts a good one and catches the bad."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from factory_core.contracts.agent import Outcome, Tools, Work
from factory_core.contracts.blueprint import Blueprint, Constraints, Project
from factory_core.contracts.files import FileRef, Produced
from factory_core.contracts.template import Manifest, TemplatePackage, ToolchainSpec
from factory_core.errors import ObjectMissing, SandboxUnavailable
from factory_core.testing.agent import AgentContract, BenchTools


class Echo:
    """Writes its node's name. A pure function."""

    name = "echo"
    version = "1"

    async def run(self, work: Work, tools: Tools) -> Outcome:
        await tools.log(f"echo {work.params['node']}")
        text = b"".join([await tools.read(ref) for ref in work.inputs])
        return Outcome(
            files=(Produced(path="app/echo.txt", content=text),), data={"node": work.params["node"]}
        )


class Faulty(Echo):
    """Echo with a fault put into its outcome."""

    def __init__(self, spoil: Callable[[Work, Outcome], Outcome]) -> None:
        self._spoil = spoil

    async def run(self, work: Work, tools: Tools) -> Outcome:
        return self._spoil(work, await super().run(work, tools))


@pytest.fixture
def works(tmp_path: Path) -> Sequence[Work]:
    manifest = Manifest(name="t", version="1", title="T", toolchain=ToolchainSpec(lock="lock"), work=())
    blueprint = Blueprint(project=Project(name="T", slug="t"), constraints=Constraints())
    return [
        Work(
            task="t",
            params={"node": "Card"},
            blueprint=blueprint,
            template=TemplatePackage(manifest=manifest, root=tmp_path, digest="0"),
            inputs=(FileRef(path="a", digest="d", size=2, producer="p"),),
        )
    ]


@pytest.fixture
def tools() -> Tools:
    return BenchTools({"d": b"hi"})


class TestEcho(AgentContract):
    @pytest.fixture
    def agent(self) -> Echo:
        return Echo()

    @pytest.fixture
    def tools(self, tools: Tools) -> Tools:
        return tools


def files(*paths: str) -> Callable[[Work, Outcome], Outcome]:
    return lambda work, outcome: Outcome(files=tuple(Produced(path=path, content=b"") for path in paths))


counter = itertools.count()


def spoil_work(work: Work, outcome: Outcome) -> Outcome:
    work.params["spoilt"] = "yes"
    return outcome


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("claim", "spoil"),
    [
        ("test_equal_work_gives_equal_outcomes", lambda work, outcome: Outcome(data={"n": next(counter)})),
        ("test_it_leaves_its_work_as_it_was", spoil_work),
        ("test_its_paths_are_clean_and_unique", files("../escape")),
        ("test_its_paths_are_clean_and_unique", files("/etc/passwd")),
        ("test_its_paths_are_clean_and_unique", files("a//b")),
        ("test_its_paths_are_clean_and_unique", files("./a")),
        ("test_its_paths_are_clean_and_unique", files("a\\b")),
        ("test_its_paths_are_clean_and_unique", files("")),
        ("test_its_paths_are_clean_and_unique", files("a", "a")),
        ("test_its_data_survives_json", lambda work, outcome: Outcome(data={"keys": (1, 2)})),
    ],
)
async def test_the_suite_catches_a_faulty_agent(claim: str, spoil, works, tools) -> None:
    with pytest.raises(AssertionError):
        await getattr(AgentContract(), claim)(Faulty(spoil), works, tools)


@pytest.mark.anyio
async def test_bench_tools_have_no_sandbox_unless_told_what_to_answer() -> None:
    tools = BenchTools()
    with pytest.raises(SandboxUnavailable):
        await tools.run(("python",), ())
    assert tools.commands == [("python",)]
    with pytest.raises(ObjectMissing):
        await tools.read(FileRef(path="a", digest="d", size=2, producer="p"))
