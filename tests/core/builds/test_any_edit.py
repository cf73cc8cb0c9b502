"""Whatever is edited in a specification: what is built then has the bytes of a build from nothing.

The agents and the template are the real ones; only what needs the sandbox (formatting, gates) is left out."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import factory_template_neoforge
from factory_core.builds.ids import uuid7
from factory_core.builds.orders import BuildOrder, Fork
from factory_core.builds.release import ReleaseUnfit
from factory_core.builds.service import BuildService
from factory_core.builds.tools import BuildTools
from factory_core.contracts.agent import CaseResult, GateResult, Outcome, Tools, Work
from factory_core.planning import HierarchicalPlanner, load_template
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


FIRST = b"project: {name: Library}\nentities:\n  Book: {title: text}\n  Reader: {name: text, age: int?}"
NEXT = FIRST.replace(b"title: text", b"title: text, pages: int = 1").replace(b", age: int?", b"")


def service_of(studio: Any) -> BuildService:
    """What takes orders for the studio."""
    templates = {studio.template.manifest.name: studio.template}
    return BuildService(
        studio.desk.journal,
        studio.blobs,
        studio.storage,
        templates,
        HierarchicalPlanner(),
        agents=studio.agents,
    )


async def ordered(studio: Any, **order: Any) -> UUID:
    """Order a build as people do, and run it."""
    started = await service_of(studio).start(studio.desk.org, BuildOrder(**{"spec": NEXT, **order}))
    return await studio.go_on(started.build)


async def test_a_build_onto_a_release_has_the_bytes_of_a_full_build_onto_it(
    desk: Any, tracks: ModuleType, tmp_path: Path
) -> None:
    number = next(numbers)
    first = studio_of(tracks, desk, tmp_path / "one", f"{number}-one")
    second = studio_of(tracks, desk, tmp_path / "two", f"{number}-two")
    release = await ordered(first, spec=FIRST)
    archives = await first.handed_out(release)
    edited = await ordered(first, onto=str(release))
    whole = [await ordered(second, release=archives[kind]) for kind in ("tar.gz", "zip")]
    alone = await ordered(second)
    one, two, three, plain = [
        await studio.handed_out(build)
        for studio, build in ((first, edited), *((second, each) for each in (*whole, alone)))
    ]
    assert one["zip"] == two["zip"] == three["zip"] != plain["zip"]
    assert one["tar.gz"] == two["tar.gz"]
    report = await first.report(edited)
    kept = {row["path"]: row["sha256"] for row in report["release"]}
    assert sorted(kept) == ["migrations/schema.json", "migrations/versions/0001_initial.py"]
    files = {row["path"]: row["sha256"] for row in report["files"] if "migrations/versions" in row["path"]}
    assert len(files) == 2
    assert files["migrations/versions/0001_initial.py"] == kept["migrations/versions/0001_initial.py"]
    assert (report["run"]["onto"], (await second.report(whole[0]))["run"]["onto"]) == (str(release), "")
    assert "Reader.age is dropped with what it holds." in {row["message"] for row in report["findings"]}


async def test_the_release_is_an_input_of_what_reads_it_and_of_nothing_else(
    desk: Any, tracks: ModuleType, tmp_path: Path
) -> None:
    studio = studio_of(tracks, desk, tmp_path, f"{next(numbers)}")
    release = await ordered(studio, spec=FIRST)
    alone = await ordered(studio)
    told = await service_of(studio).estimate(desk.org, BuildOrder(spec=NEXT, onto="newest"))
    onto = await ordered(studio, onto=str(alone))
    ran = await studio.ran(onto)
    assert ran <= set(told.again)
    assert {"analyse", "design", "migration", "test-tools"} <= ran
    assert ran.isdisjoint({"service", "web", "docs", "merge/foundation", "merge/web", "merge/docs"})
    assert not await studio.ran(await ordered(studio, onto=str(alone))) - {"deliver"}, (
        "equal release, equal work"
    )
    assert "migration" in await studio.ran(await ordered(studio, onto=str(release)))


async def test_a_fork_by_another_specification_stands_on_the_same_release(
    desk: Any, tracks: ModuleType, tmp_path: Path
) -> None:
    studio = studio_of(tracks, desk, tmp_path, f"{next(numbers)}")
    release = await ordered(studio, spec=FIRST)
    onto = await ordered(studio, onto=str(release))
    fork = await service_of(studio).fork(desk.org, Fork(source=onto, spec=NEXT + b"\n"), by="me")
    await studio.go_on(fork.build)
    first, second = await studio.report(onto), await studio.report(fork.build)
    assert first["release"] == second["release"] != []
    assert second["run"]["onto"] == str(release)


async def test_the_newest_release_is_found_behind_many_builds_of_other_projects(
    desk: Any, tracks: ModuleType, tmp_path: Path
) -> None:
    studio = studio_of(tracks, desk, tmp_path, f"{next(numbers)}")
    release = await ordered(studio, spec=FIRST)
    for slug, state in [("elsewhere", "passed")] * 201 + [("library", "failed")]:
        await desk.connection.execute(
            "insert into build (id, org_id, idem_key, spec_digest, options, state, open, created_at, max_agents, max_depth)"
            " values ($1, $2, gen_random_uuid()::text, '', jsonb_build_object('slug', $3::text), $4, false,"
            " factory_now(), 1, 1)",
            uuid7(), desk.org, slug, state,
        )  # fmt: skip
    told = await service_of(studio).start(desk.org, BuildOrder(spec=NEXT, onto="newest"))
    row = await service_of(studio).get(desk.org, told.build)
    assert row.options["onto"] == str(release)


async def test_what_is_no_release_of_the_project_is_refused(
    desk: Any, tracks: ModuleType, tmp_path: Path
) -> None:
    studio = studio_of(tracks, desk, tmp_path, f"{next(numbers)}")
    other = await ordered(studio, spec=FIRST.replace(b"Library", b"Elsewhere"))
    archive = (await studio.handed_out(other))["zip"]
    refused = [
        ({"onto": "newest"}, "No build newest of the project library has passed."),
        ({"onto": str(other)}, "of the project library has passed."),
        ({"onto": "yesterday"}, "neither the id of a build nor newest"),
        ({"onto": "newest", "release": archive}, "Two releases are named"),
        ({"release": b"PK no archive"}, "no archive that can be read"),
    ]
    for order, reason in refused:
        with pytest.raises(ReleaseUnfit, match=reason):
            await ordered(studio, **order)
    failed = await ordered(
        studio,
        spec=FIRST.replace(b"Library", b"Elsewhere").replace(b"age", b"old: int, age"),
        onto=str(other),
    )
    assert await desk.state(failed) == "failed"
    (told,) = [row for row in (await studio.report(failed))["failures"] if row["task"] == "analyse"]
    assert told["reason"].startswith("line 4: Reader.old is new and required")
