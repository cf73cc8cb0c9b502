"""What is remembered of gates holds for all that a test can reach, and for nothing more."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

import factory_template_neoforge
from factory_core.contracts.agent import Work
from factory_core.contracts.files import FileRef
from factory_core.planning import load_template
from factory_core.specs import read
from factory_core.testing.agent import BenchTools
from factory_plugin_agents.direct import render_raw
from factory_plugin_agents.gates.mutate import choose_mutants
from factory_plugin_agents.gates.reach import Reach, reaches

SPEC = """
project: {name: School}
entities:
  Notice: {title: "text(1..80)"}
  Book: {title: "text(1..80)", price: money}
  Student: {name: "text(1..80)"}
  Loan: {book: Book, student: Student}
acceptance:
  - name: a notice is put up
    steps: [{post: /notices, body: {title: x}, save: made}, {get: "/notices/$made.id?x=1"}]
  - name: it answers
    steps: [{get: /health}, {get: /notices}]
"""
CASE = "tests/acceptance/test_a_notice_is_put_up.py"


def reach_of(spec: str, **edited: str) -> dict[str, Reach]:
    template = load_template(Path(factory_template_neoforge.__file__).parent)
    blueprint = read(spec.encode()).blueprint
    assert blueprint
    files = render_raw(blueprint, template)
    files |= {path: text.encode() for path, text in edited.items()}
    contents = {hashlib.sha256(content).hexdigest(): content for content in files.values()}
    inputs = tuple(
        FileRef(path=path, digest=hashlib.sha256(content).hexdigest(), size=len(content), producer="p")
        for path, content in sorted(files.items())
    )
    work = Work(task="gate", params={}, blueprint=blueprint, template=template, inputs=inputs)
    found = asyncio.run(reaches(work, BenchTools(contents)))
    return {
        path.removeprefix("tests/contract/test_").removesuffix(".py"): reach for path, reach in found.items()
    }


@pytest.fixture(scope="module")
def before() -> dict[str, Reach]:
    return reach_of(SPEC)


def changed(before: dict[str, Reach], after: dict[str, Reach]) -> set[str]:
    return {name for name in after if name not in before or before[name].digest != after[name].digest}


@pytest.mark.parametrize(
    ("old", "new", "reached"),
    [
        ("Notice: {", "Notice: {pinned: bool = false, ", {"notice", CASE[:-3]}),
        # Whoever refers to books or is referred to by what refers to them makes books in its tests.
        ("price: money", "price: money, cover: money?", {"book", "loan", "student"}),
        # The first number of a project needs code that all share.
        ("price: money", "price: money, pages: int?", {"book", "loan", "notice", "student", CASE[:-3]}),
        ("\n  Student", '\n  Room: {name: "text(1..9)"}\n  Student', {"room"}),
        ("project:", "\n# a remark\n\nproject:", set()),
    ],
)
def test_a_change_reaches_the_tests_that_can_meet_it(
    before: dict[str, Reach], old: str, new: str, reached: set[str]
) -> None:
    assert old in SPEC
    assert changed(before, reach_of(SPEC.replace(old, new))) == reached


@pytest.mark.parametrize("path", ["app/rows.py", "tests/conftest.py", "pyproject.toml"])
def test_a_change_in_what_all_share_reaches_every_test(before: dict[str, Reach], path: str) -> None:
    assert changed(before, reach_of(SPEC, **{path: "x = 1\n"})) == set(before)


def test_of_what_tests_share_only_the_parts_that_are_used_matter(before: dict[str, Reach]) -> None:
    after = reach_of(SPEC.replace("Notice: {", 'Notice: {kind: "text(1..9)", '))  # making.py makes it, too
    assert changed(before, after) == {"notice", CASE[:-3]}


def test_a_case_reaches_what_its_steps_call_and_nothing_is_known_of_one_that_calls_more(
    before: dict[str, Reach],
) -> None:
    assert before[CASE[:-3]].files == before["notice"].files
    assert not any("it_answers" in name for name in before)


def test_a_test_that_runs_code_beyond_its_reach_is_seen(before: dict[str, Reach]) -> None:
    reach = before["notice"]
    assert "app/routes/notice.py" in reach.files
    assert "app/routes/book.py" not in reach.files
    imported = {"app/routes/book.py": [1, 2, 3]}
    assert reach.holds({"app/routes/notice.py": [9], "app/routes/book.py": [2]}, imported)
    assert not reach.holds({"app/routes/book.py": [2, 40]}, imported)
    assert not reach.holds({"app/routes/loan.py": [1]}, imported)


def test_a_change_in_one_file_plants_no_other_bugs_in_the_rest() -> None:
    source = "def {0}_{1}(a, b):\n    if a > {2}:\n        return b\n    return a + {2}\n"
    sources = {
        f"app/routes/{name}.py": source.format(verb, name, 1) for name in "abcdef" for verb in ("list",)
    }
    before = {each.source for each in choose_mutants(sources, most=100) if each.path != "app/routes/c.py"}
    edited = sources | {"app/routes/c.py": source.format("list", "c", 2)}
    assert {
        each.source for each in choose_mutants(edited, most=100) if each.path != "app/routes/c.py"
    } == before
