"""Whatever is edited in a specification: what is built then has the bytes of a build from nothing.

The agents and the template are the real ones; only what needs the sandbox (formatting, gates) is left out."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import factory_template_neoforge
from factory_core.builds.tools import BuildTools
from factory_core.contracts.agent import CaseResult, GateResult, Outcome, Tools, Work
from factory_core.planning import load_template
from factory_core.testing.agent import BenchBoard
from factory_plugin_agents import plugin

pytestmark = pytest.mark.anyio

ENTITIES = ("Author", "Book", "Reader", "Loan")
FIELDS = (
    "price: money?",
    "pages: int = 1",
    "due: date?",
    "open: bool = true",
    "code: text(1..9) unique",
    "state: enum(new, old) = new",
)
EXTRAS = (
    "requirements: [R-1: Whatever is kept can be read.]",
    "roles: {admin: all, viewer: read}",
    "acceptance:\n  - {name: it answers, steps: [{get: /health, expect: 200}]}",
    "constraints: {min_test_coverage: 70}",
)
numbers = itertools.count()


@st.composite
def specifications(draw: st.DrawFn) -> bytes:
    """One to four entities that may refer to those before them, and some of what else a specification may say."""
    lines = ["project: {name: Library}", "entities:"]
    names: list[str] = []
    for name in draw(st.lists(st.sampled_from(ENTITIES), unique=True, min_size=1)):
        fields = draw(st.lists(st.sampled_from(FIELDS), unique=True, max_size=3))
        targets = draw(st.lists(st.sampled_from(names), unique=True, max_size=2)) if names else []
        lines += [f"  {name}:", f"    title: text(1..{draw(st.sampled_from((40, 80)))})"]
        lines += [f"    {field}" for field in (*fields, *(f"{each.lower()}: {each}" for each in targets))]
        names.append(name)
    lines += draw(st.lists(st.sampled_from(EXTRAS), unique=True))
    return "\n".join(lines).encode()


class Content:
    """Finds everything as it should be."""

    name = "content"

    def __init__(self, version: str) -> None:
        self.version = version

    async def run(self, work: Work, tools: Tools) -> Outcome:
        """Green gates and cases."""
        cases = [
            CaseResult(name=case.name, passed=True, requirements=case.requirements)
            for case in work.blueprint.acceptance
        ]
        return Outcome(gates=(GateResult(name="tests", passed=True),), cases=tuple(cases))


class Numbered:
    """An agent under a version of its own, which shares no memory with that of another number."""

    footer = b""
    """Ends every file. Nothing tells a task of it."""

    def __init__(self, agent: Any, version: str) -> None:
        self.name, self.version, self._agent = agent.name, version, agent

    async def run(self, work: Work, tools: Tools) -> Outcome:
        """As the agent does, but for the footer."""
        outcome = await self._agent.run(work, tools)
        files = [replace(file, content=file.content + self.footer) for file in outcome.files]
        return replace(outcome, files=tuple(files))


def studio_of(tracks: ModuleType, desk: Any, home: Path, version: str) -> Any:
    """A studio with the real template and agents, but for those that need the sandbox."""

    class Studio(tracks.Studio):
        template = load_template(Path(factory_template_neoforge.__file__).parent)

        @property
        def agents(self) -> dict[str, Any]:
            contained = dict.fromkeys(("integrator", "validator", "auditor"), Content(version))
            return {agent.name: Numbered(agent, version) for agent in plugin.factory_agents()} | contained

        async def lend(self, *_: Any) -> Any:
            async def log(message: str, level: str) -> None:
                pass

            return BuildTools(
                blobs=self.blobs, sandbox=None, toolchain=None, home=home, log=log, board=BenchBoard()
            )

    return Studio(desk, home)


async def edited_and_whole(
    desk: Any, tracks: ModuleType, home: Path, before: bytes, after: bytes, footer: bytes = b""
) -> tuple[list[bytes], list[bytes]]:
    """The archives of a build after another, and of the same build with nothing before it."""
    number = next(numbers)
    first = studio_of(tracks, desk, home / f"{number}-one", f"{number}-one")
    await first.build(f"{number} before", before)
    Numbered.footer = footer
    edited = await first.build(f"{number} edited", after)
    second = studio_of(tracks, desk, home / f"{number}-two", f"{number}-two")
    whole = await second.build(f"{number} whole", after)
    tasks = {task.id for task in await desk.journal.tasks(desk.org, whole)} - {"plan"}
    assert await second.ran(whole) == tasks
    assert await first.ran(edited) < tasks
    one, two = await first.handed_out(edited), await second.handed_out(whole)
    return [one["zip"], one["tar.gz"]], [two["zip"], two["tar.gz"]]


# Three builds an example take seconds: what fails is told as it was drawn.
@settings(
    max_examples=4,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(before=specifications(), after=specifications())
async def test_any_edit_gives_the_bytes_of_a_full_build(
    desk: Any, tracks: ModuleType, tmp_path: Path, before: bytes, after: bytes
) -> None:
    edited, whole = await edited_and_whole(desk, tracks, tmp_path, before, after)
    assert edited == whole


async def test_what_an_agent_reads_behind_the_memo_makes_other_bytes(
    desk: Any, tracks: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Numbered, "footer", b"")
    before = b"project: {name: Library}\nentities:\n  Book: {title: text}\n  Reader: {name: text}"
    after = before.replace(b"title: text", b"title: text, pages: int = 1")
    edited, whole = await edited_and_whole(desk, tracks, tmp_path, before, after, footer=b"\n")
    assert edited != whole
