"""Bugs that are planted are noticed, by the tests that ran where they are and by no others."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_core.contracts.agent import Outcome
from factory_plugin_agents.gates import mutants
from factory_plugin_agents.gates.ran import Ran


def gate(outcome: Outcome, name: str):
    return next(gate for gate in outcome.gates if gate.name == name)


def test_empty_tests_kill_no_mutants(check, project):
    empty = project | {
        "tests/contract/test_book.py": "def test_nothing(client):\n    assert client\n",
        "tests/acceptance/test_a_book_is_found_again.py": "def test_nothing(client):\n    assert client\n",
    }
    outcome = check("mutants", empty)
    found = gate(outcome, "mutants")
    assert not found.passed
    assert "app/routes/book.py:" in found.detail
    assert all(finding.line > 0 for finding in outcome.findings)


@pytest.mark.parametrize(
    "red",
    [
        "def test_x():\n    assert False\n",
        "import no_such_module\n",
        "def test_x():\n    __import__('os').abort()\n",
    ],
    ids=["fails", "cannot be imported", "kills the interpreter"],
)
def test_tests_that_fail_anyway_prove_nothing(check, project, red):
    found = gate(check("mutants", project | {"tests/contract/test_book.py": red}), "mutants")
    assert not found.passed
    assert found.figure == "not judged: the tests fail without a fault, too"
    assert "without any bug" in found.detail


@pytest.mark.parametrize(
    ("place", "noticed"), [("tests/test_story.py", True), ("tests/contract/test_other.py", False)]
)
def test_what_the_nearest_tests_miss_only_the_stories_may_find(check, project, place, noticed):
    idle = "def test_nothing(client):\n    assert client\n"
    moved = {place: project["tests/contract/test_book.py"], "tests/contract/test_book.py": idle}
    assert gate(check("mutants", project | moved), "mutants").passed is noticed


LIMITED = """
import sys
sys.path.insert(0, sys.argv[1])
import mutation_runner as runner

runner.PROCESSOR_SECONDS = 1
group = {"arguments": ["tests"], "only": None}
mutant = {"path": "app/__init__.py", "source": sys.argv[2], "nearest": [group], "stories": group}
print(runner.main({"mutants": [mutant]}))
"""
BUSY = """import time
import app


def test_busy():
    while app.SLOW and time.process_time() < 30:
        pass
"""


@pytest.mark.parametrize(("anyway", "clean"), [(False, True), (True, False)])
def test_a_run_has_its_limit_and_what_passes_it_anyway_proves_nothing(toolchain, tmp_path, anyway, clean):
    for path, text in {"app/__init__.py": f"SLOW = {anyway}", "tests/test_busy.py": BUSY}.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    inside = Path(mutants.__file__).parent / "inside"
    command = [toolchain.path / "bin" / "python", "-c", LIMITED, inside, "SLOW = True"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stdout) == {
        "clean": clean,
        "fates": ["timeout"],
        "nearest": [["timeout"]],
    }


def test_what_handlers_share_is_judged_by_those_that_import_it():
    handlers = {f"app/routes/e{n:02}.py": "from app.rows import find\n" for n in range(40)}
    handlers["app/routes/e07.py"] = "from app.states import moves\n"
    tests = frozenset(f"tests/contract/test_e{n:02}.py" for n in range(40))
    assert mutants.nearest_tests("app/routes/e03.py", tests, handlers) == ["tests/contract/test_e03.py"]
    assert mutants.nearest_tests("app/states.py", tests, handlers) == ["tests/contract/test_e07.py"]
    some = mutants.nearest_tests("app/rows.py", tests, handlers)
    assert len(set(some)) == mutants.MOST_TEST_FILES
    assert set(some) < tests - {"tests/contract/test_e07.py"}


@pytest.mark.parametrize("many", [3, 8, 24, 40])
def test_one_more_handler_asks_one_other_test_at_most(many):
    def drawn(count: int) -> list[str]:
        handlers = {f"app/routes/e{n:02}.py": "from app.rows import find\n" for n in range(count)}
        tests = frozenset(f"tests/contract/test_e{n:02}.py" for n in range(count))
        return mutants.nearest_tests("app/rows.py", tests, handlers)

    before, after = drawn(many), drawn(many + 1)
    assert len({*after} - {*before}) <= 1
    kept = [test for test in after if test in before]
    assert kept == [test for test in before if test in after], "in the order they had"


VERDICTS = st.tuples(st.sampled_from(["killed", "survived"]), st.booleans())


@given(nearest=st.lists(VERDICTS, max_size=6), last=VERDICTS)
def test_a_fate_that_is_known_is_the_one_that_asking_all_would_give(nearest, last):
    fate, unknown = mutants.known_fate(
        [verdict if known else None for verdict, known in nearest], last[0] if last[1] else None
    )
    if fate is None:  # ask those that are left, in order, and then the last
        said = [nearest[number][0] for number in unknown]
        assert not any(nearest[number][1] for number in unknown), "none twice"
        fate = "killed" if "killed" in said else last[0]
    else:
        assert unknown == []
    assert fate == ("killed" if "killed" in [verdict for verdict, _ in nearest] else last[0])


def test_only_tests_that_ran_the_statement_are_asked_and_the_verdicts_are_those_of_all(check, project):
    told = check("tests", project).data
    assert check("mutants", project, **told) == check("mutants", project)


def test_a_bug_in_what_runs_at_import_is_shown_to_every_test(check, project):
    rows = "def limit() -> int:\n    return 1\n\n\nLIMIT = limit()\n"
    book = project[BOOK].replace(
        "import APIRouter, HTTPException", "import APIRouter, HTTPException\n\nfrom app.rows import LIMIT"
    )
    variant = project | {"app/rows.py": rows, BOOK: book.replace("not 1 <= len", "not LIMIT <= len")}
    told = check("tests", variant).data
    outcome = check("mutants", variant, **told)
    assert outcome == check("mutants", variant)
    assert not any(finding.path == "app/rows.py" for finding in outcome.findings)


BOOK = "app/routes/book.py"
FIXTURES = """
import pytest

from app.routes import book


@pytest.fixture(scope="session")
def shelf():
    yield book.create_book({"title": "Emma"})
    book.books.clear()


def test_first(shelf):
    assert shelf


def test_second(shelf):
    assert shelf["title"] == "Emma"


def test_third():
    assert book.list_books()
"""


def test_what_the_first_test_makes_for_the_others_belongs_to_all(check, project):
    path = "tests/contract/test_book.py"
    told = msgspec.convert(check("tests", project | {path: FIXTURES}).data["ran"][path], Ran)
    lines = {line.strip(): number for number, line in enumerate(project[BOOK].splitlines(), 1)}

    def who(line: str) -> set[str]:
        found = told.those_that_ran(BOOK, (lines[line], lines[line]), near=(1, 99))
        return {test.partition("::test_")[2] for test in found}

    assert who("books.append(book)") == {"first", "second", "third"}
    assert who('return {"items": books, "next": None}') == {"third"}
    assert who("raise HTTPException(404)") == set()


def test_what_is_remembered_of_bugs_is_what_running_them_again_would_tell(check, project, pieces):
    alone = check("tests", project).data["alone"]
    first = check("mutants", project, pieces=pieces, alone=alone)
    assert pieces.knew == 0
    assert check("mutants", project, pieces=pieces, alone=alone) == first
    assert pieces.knew > 0


@pytest.mark.parametrize("asked_last", [False, True], ids=["the nearest tests", "those asked last"])
def test_a_bug_whose_fate_is_known_is_not_run_again(check, project, pieces, sandbox, asked_last):
    story, near = "tests/acceptance/test_a_book_is_found_again.py", "tests/contract/test_book.py"
    if asked_last:
        project = project | {story: project[near], near: "def test_nothing(client):\n    assert client\n"}
    told = check("tests", project).data
    first = check("mutants", project, pieces=pieces, **told)
    before = sandbox.ran
    assert check("mutants", project, pieces=pieces, **told) == first
    assert sandbox.ran == before
    left = {**told, "alone": [path for path in told["alone"] if path != (story if asked_last else near)]}
    assert check("mutants", project, pieces=pieces, **left) == first
    assert sandbox.ran == before + 1


def test_tests_that_were_not_seen_to_stand_alone_leave_nothing_remembered_of_bugs(check, project, pieces):
    for _ in range(2):
        assert gate(check("mutants", project, pieces=pieces), "mutants").passed
    assert pieces.knew == 0
