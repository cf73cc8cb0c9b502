"""Every gate passes a good project and fails the fault it is there for."""

from __future__ import annotations

import msgspec
import pytest

from factory_core.contracts.agent import Outcome
from factory_plugin_agents.acceptance import case_views
from factory_plugin_agents.gates.validator import GATES


def gate(outcome: Outcome, name: str):
    return next(gate for gate in outcome.gates if gate.name == name)


@pytest.mark.parametrize("name", [*GATES, "audit"])
def test_a_good_project_passes(check, project, name):
    outcome = check(name, project)
    assert outcome.failure == ""
    assert [(each.name, each.detail) for each in outcome.gates if not each.passed] == []


def test_an_unknown_gate_fails_the_task(check, project):
    assert "format+lint" in check("beauty", project).failure


def test_a_gate_without_files_fails_the_task(check):
    assert "no files" in check("tests", {}).failure


def test_two_runs_give_equal_outcomes(check, project):
    assert check("tests", project) == check("tests", project)


# ---------------------------------------------------------------- format+lint


@pytest.mark.parametrize(
    "fault", ["import os\n", "x  =  1\n", "def broken(:\n"], ids=["unused import", "layout", "syntax"]
)
def test_style_faults_fail_and_are_placed(check, project, fault):
    outcome = check("format+lint", project | {"app/fault.py": fault})
    assert not gate(outcome, "format+lint").passed
    assert any("app/fault.py" in finding.path + finding.message for finding in outcome.findings)


# ------------------------------------------------------------------- security


def test_a_high_weakness_fails_the_security_gate(check, project):
    bad = "import subprocess\n\nsubprocess.run('ls', shell=True)\nimport hashlib\n\nhashlib.md5(b'x')\n"
    outcome = check("security", project | {"app/bad.py": bad})
    assert not gate(outcome, "security").passed
    assert {("app/bad.py", 6)} <= {(finding.path, finding.line) for finding in outcome.findings}


def test_code_that_cannot_be_read_is_not_secure(check, project):
    assert not gate(check("security", project | {"app/bad.py": "def broken(:\n"}), "security").passed


def test_no_application_is_not_a_secure_one(check, project):
    nothing = {path: text for path, text in project.items() if not path.startswith("app/")}
    assert not gate(check("security", nothing), "security").passed


# ----------------------------------------------------------------------- boot


@pytest.mark.parametrize(
    ("path", "old", "new", "told"),
    [
        ("app/main.py", '"/health"', '"/healthy"', "did not start"),
        ("app/main.py", "app = FastAPI()", "app = FastAPI(", "SyntaxError"),
        (
            "app/main.py",
            "app = FastAPI()",
            "import sqlalchemy\n\nsqlalchemy.orm\napp = FastAPI()",
            "AttributeError",
        ),
        ("app/routes/book.py", "raise HTTPException(404)", "raise HTTPException(410)", "410 instead of 404"),
        ("app/routes/book.py", "status_code=501", "status_code=200", "200 instead of 501"),
        ("alembic.ini", "script_location = migrations", "", "No 'script_location' key found"),
    ],
)
def test_a_service_that_breaks_the_contract_fails_to_boot(check, project, path, old, new, told):
    assert old in project[path]
    found = gate(check("boot", project | {path: project[path].replace(old, new)}), "boot")
    assert not found.passed
    assert told in found.figure + found.detail


# ---------------------------------------------------------- tests and coverage


def test_each_acceptance_case_has_its_result(check, project):
    (case,) = check("tests", project).cases
    assert (case.name, case.passed, case.requirements) == ("a book is found again", True, ("R-1",))


ODD_NAMES = ('ships "it" / ok', "ships  'it' / ok.", "a \\back\\slash", "a \\back\\slash.")


def test_cases_that_differ_only_in_punctuation_are_told_apart(check, project, blueprint):
    failing = ODD_NAMES[1:3]
    (case,) = blueprint.acceptance
    spec = msgspec.structs.replace(
        blueprint, acceptance=tuple(msgspec.structs.replace(case, name=name) for name in ODD_NAMES)
    )
    del project["tests/acceptance/test_a_book_is_found_again.py"]
    for view in case_views(spec):
        body = "assert False" if view.case.name in failing else "pass"
        test = f"def test_{view.slug}():\n    {body}\n"
        project[f"tests/acceptance/test_{view.slug}.py"] = test
    results = {result.name: result.passed for result in check("tests", project, spec).cases}
    assert results == {name: name not in failing for name in ODD_NAMES}


def test_a_failing_case_is_told_with_what_it_saw(check, project):
    path = "tests/acceptance/test_a_book_is_found_again.py"
    outcome = check("tests", project | {path: project[path].replace("== 200", "== 418")})
    assert not gate(outcome, "tests").passed
    assert not outcome.cases[0].passed
    assert "418" in outcome.cases[0].detail
    assert (outcome.cases[0].step, outcome.cases[0].reason) == (0, "assert 200 == 418")
    assert gate(outcome, "contract tests").passed
    (finding,) = outcome.findings
    assert finding.message.startswith("test_a_book_is_found_again failed: AssertionError: assert 200 == 418")


def test_a_failing_case_names_its_step(check, project):
    path = "tests/acceptance/test_a_book_is_found_again.py"
    body = 'def test_a_book_is_found_again():\n    assert not "a book", "step 12, GET /books: answered 200"\n'
    (case,) = check("tests", project | {path: body}).cases
    assert (case.passed, case.step, case.reason) == (False, 12, "step 12, GET /books: answered 200")


def test_a_failing_contract_names_its_file_alone(check, project):
    bad = {"tests/contract/test_more.py": "def test_x():\n    assert False\n"}
    found = gate(check("tests", project | bad), "contract tests")
    assert (found.passed, found.figure, found.paths) == (
        False,
        "4 of 5 passed",
        ("tests/contract/test_more.py",),
    )


def test_a_run_that_did_not_end_names_no_file(check, project):
    bad = {"tests/contract/test_more.py": "import no_such_module\n"}
    outcome = check("tests", project | bad)
    assert (gate(outcome, "contract tests").passed, gate(outcome, "contract tests").paths) == (False, ())
    assert [(each.code, each.path) for each in outcome.findings][-1] == (
        "collection",
        "tests/contract/test_more.py",
    )


def test_a_case_without_a_test_has_not_passed(check, project):
    del project["tests/acceptance/test_a_book_is_found_again.py"]
    outcome = check("tests", project)
    assert not outcome.cases[0].passed
    assert not gate(outcome, "tests").passed


def test_no_tests_at_all_fail(check, project, blueprint):
    bare = {path: text for path, text in project.items() if "/test_" not in path}
    outcome = check("tests", bare, msgspec.structs.replace(blueprint, acceptance=()))
    assert gate(outcome, "tests").figure == "0 of 0 passed"
    assert not gate(outcome, "tests").passed


@pytest.mark.parametrize(
    "body",
    [
        "import pytest\n\n\n@pytest.mark.skip\ndef test_x():\n    pass\n",
        "import pytest\n\n\n@pytest.mark.xfail\ndef test_x():\n    assert False\n",
        "import pytest\n\n\n@pytest.mark.xfail\ndef test_x():\n    pass\n",
        "def test_x():\n    assert False\n",
        "import no_such_module\n",
        "import os\n\n\ndef test_x():\n    os._exit(0)\n",
        "import pytest\n\n\n@pytest.fixture\ndef bad():\n    yield\n    raise OSError\n\n\ndef test_x(bad):\n    pass\n",
    ],
    ids=["skipped", "xfailed", "xpassed", "failed", "unimportable", "exits", "teardown"],
)
def test_one_test_that_did_not_pass_fails_the_gate(check, project, body):
    assert not gate(check("tests", project | {"tests/contract/test_more.py": body}), "tests").passed


def test_uncovered_code_fails_coverage_alone(check, project):
    idle = "def idle(x: int) -> int:\n" + "".join(f"    x += {n}\n" for n in range(40)) + "    return x\n"
    outcome = check("tests", project | {"app/idle.py": idle})
    assert gate(outcome, "tests").passed
    assert not gate(outcome, "coverage").passed
    assert "app/idle.py" in gate(outcome, "coverage").detail


# ------------------------------------------------------------------ remembered


CASE, CONTRACT = "tests/acceptance/test_a_book_is_found_again.py", "tests/contract/test_book.py"


@pytest.mark.parametrize(
    ("path", "known"), [("README.md", 2), ("app/routes/book.py", 0), (CONTRACT, 1), (CASE, 1)]
)
def test_a_file_of_tests_runs_again_when_what_it_reaches_changed_and_the_verdict_is_the_same(
    check, project, path, known, pieces
):
    assert check("tests", project, pieces=pieces).data["alone"] == [CASE, CONTRACT]
    edited = project | {path: project.get(path, "") + "# a remark\n"}
    assert check("tests", edited, pieces=pieces) == check("tests", edited)
    assert pieces.knew == known


def test_a_red_test_is_not_remembered(check, project, pieces):
    bad = {
        CONTRACT: project[CONTRACT].replace("(404)", "(405)").replace("== 404", "== 405"),
        CASE: project[CASE].replace("== 200", "== 418"),
    }
    for _ in range(2):
        assert not gate(check("tests", project | bad, pieces=pieces), "contract tests").passed
    assert pieces.knew == 0


# ---------------------------------------------------------------------- audit


@pytest.mark.parametrize(
    "secret",
    [
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "gh" + "p_" + "a" * 36,
        "postgresql://admin:" + "hunter2@db.example.com/x",
    ],
)
def test_a_secret_in_a_file_fails_the_audit_and_is_not_repeated(check, project, secret):
    outcome = check("audit", project | {"docs/notes.md": f"# Notes\n\n{secret}\n"})
    assert not gate(outcome, "audit").passed
    (finding,) = [each for each in outcome.findings if each.code == "secret"]
    assert (finding.path, finding.line) == ("docs/notes.md", 3)
    assert secret not in finding.message + gate(outcome, "audit").detail


def test_what_was_not_to_be_built_and_what_is_missing_is_told(check, project, blueprint):
    spec = msgspec.structs.replace(
        blueprint, do_not_build=("blockchain ledger",), deliverables=("README.md", "main.py")
    )
    outcome = check("audit", project | {"app/blockchain/ledger.py": "X = 1\n"}, spec)
    assert gate(outcome, "audit").passed
    told = {(finding.code, finding.path) for finding in outcome.findings}
    assert {("do-not-build", "app/blockchain/ledger.py"), ("deliverable", "README.md")} <= told
    assert ("deliverable", "main.py") not in told


def test_the_audit_takes_what_the_security_gate_told_and_believes_nobody_else(check, project, sandbox):
    weak = project | {"app/weak.py": "X = eval(input())\n"}
    gated = check("security", weak)
    own = check("audit", weak)
    assert [each.path for each in own.findings if each.code == "B307"] == ["app/weak.py"]
    ran = sandbox.ran
    assert check("audit", weak, told_by="gate-security", **gated.data) == own
    assert sandbox.ran == ran
    lies = {**gated.data, "weaknesses": []}
    assert check("audit", weak, told_by="gate-lint", **lies) == own
    assert check("audit", weak, told_by="models/Card", **lies) == own
    assert check("audit", weak, told_by="gate-security", weaknesses=3) == own
    assert sandbox.ran == ran + 3


def test_the_audit_looks_itself_at_code_that_changed_after_the_security_gate(check, project):
    gated = check("security", project)
    weak = project | {"app/weak.py": "X = eval(input())\n"}
    told = check("audit", weak, told_by="gate-security", **gated.data)
    assert [each.path for each in told.findings if each.code == "B307"] == ["app/weak.py"]
