"""The main job: a specification in, working and tested software out."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from factory_core.specs import read

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.xdist_group("builds")

OFTEN = ("library.yaml", "team-tree.yaml")
"""Built in every run beside taskboard and the owner's, each different in kind; ``make verify`` builds them all."""
EXAMPLES = [
    path.name if path.name in OFTEN else pytest.param(path.name, marks=pytest.mark.slow)
    for path in sorted((ROOT / "examples").iterdir())
    if path.name != "taskboard.yaml"
]


def explain(built: Any) -> str:
    """What a person would look at when a build ended otherwise than expected."""
    return f"exit {built.code}\n{built.output[-4000:]}\n{built.errors[-2000:]}"


def test_the_example_of_the_readme_builds_and_every_requirement_is_proven(taskboard: Any) -> None:
    assert taskboard.code == 0, explain(taskboard)
    states = {row["id"]: row["state"] for row in taskboard.report["requirements"]}
    assert states
    assert set(states.values()) == {"proven"}, states


def test_the_command_prints_the_artifact_the_evidence_and_the_time(taskboard: Any) -> None:
    assert str(taskboard.archive) in taskboard.output
    for row in taskboard.report["requirements"]:
        assert row["id"] in taskboard.output
    assert " in " in taskboard.output
    assert "passed" in taskboard.output


def test_the_report_keeps_its_published_schema(taskboard: Any) -> None:
    schema = json.loads((ROOT / "docs/reference/build-report.schema.json").read_bytes())
    jsonschema.validate(taskboard.report, schema)


def test_the_report_accounts_for_every_node_of_the_specification_once(taskboard: Any, examples: Path) -> None:
    blueprint = read((examples / "taskboard.yaml").read_bytes(), name="taskboard.yaml").blueprint
    assert blueprint is not None
    wanted = sorted((node.path, node.line) for node in blueprint.nodes)
    assert sorted((row["path"], row["line"]) for row in taskboard.report["nodes"]) == wanted


def test_all_gates_ran_and_passed(taskboard: Any) -> None:
    gates = {gate["name"]: gate["passed"] for gate in taskboard.report["gates"]}
    assert len(gates) >= 6, gates
    assert all(gates.values()), gates


def test_the_artifact_passes_its_own_tests_elsewhere(taskboard: Any, tmp_path: Path) -> None:
    project = taskboard.unpack(tmp_path)
    for target in ("setup", "test"):
        made = subprocess.run(["make", target], cwd=project, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stdout[-3000:] + made.stderr[-3000:]


def test_the_repository_in_the_artifact_is_clean_and_tells_who_made_what(
    taskboard: Any, tmp_path: Path
) -> None:
    project = taskboard.unpack(tmp_path)

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=project, capture_output=True, text=True, check=True).stdout

    assert git("status", "--porcelain") == ""
    assert len(git("log", "--format=%h").split()) > 10


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_builds_and_passes(name: str, studio: Any, examples: Path, tmp_path: Path) -> None:
    built = studio.build(examples / name, tmp_path / "out")
    assert built.code == 0, explain(built)
    assert all(case["passed"] and case["ran"] for case in built.report["acceptance"])


def test_two_clean_homes_make_the_same_bytes(
    studio: Any, make_studio: Callable[[], Any], examples: Path, tmp_path: Path
) -> None:
    one = studio.build(examples / OFTEN[-1], tmp_path / "one")
    other = make_studio()
    try:
        two = other.build(examples / OFTEN[-1], tmp_path / "two")
    finally:
        other.stop()
    assert (one.code, two.code) == (0, 0), explain(one) + explain(two)
    assert two.report["run"]["reused"] == []
    for kind in ("*.zip", "*.tar.gz"):
        (first,), (second,) = one.out.glob(kind), two.out.glob(kind)
        assert first.read_bytes() == second.read_bytes(), kind


def test_a_specification_with_errors_starts_nothing(studio: Any, tmp_path: Path) -> None:
    spec = tmp_path / "wrong.yaml"
    spec.write_text("project: {name: Wrong}\nentities:\n  Card:\n    title: txet\n")
    built = studio.build(spec, tmp_path / "out")
    assert built.code == 2
    assert "4:12" in built.errors
    assert not (tmp_path / "out").exists()


def test_an_acceptance_case_that_cannot_hold_fails_the_build_and_leaves_the_report(
    studio: Any, tmp_path: Path
) -> None:
    spec = tmp_path / "false.yaml"
    spec.write_text(
        "project: {name: False hope}\n"
        "entities:\n  Note: {title: text}\n"
        "requirements:\n  - R-1: Notes vanish.\n"
        "acceptance:\n"
        "  - name: a note vanishes\n"
        "    requirement: R-1\n"
        "    steps:\n"
        "      - {post: /notes, body: {title: " + "x" * 5000 + "}, expect: 201, save: note}\n"
        "      - {get: /notes/$note.id, expect: 404}\n"
    )
    built = studio.build(spec, tmp_path / "out")
    assert built.code == 1, explain(built)
    assert not list(built.out.glob("*.zip"))
    assert [row["state"] for row in built.report["requirements"]] == ["failed"]
    (case,) = built.report["acceptance"]
    assert (
        case["line"] == spec.read_text().splitlines().index("      - {get: /notes/$note.id, expect: 404}") + 1
    )
    assert re.fullmatch(r"step 2, GET /notes/[\w-]+: answered 200 instead of 404: \{.{299}…", case["reason"])
    assert f"✗ a note vanishes (line {case['line']}): {case['reason']}\n" in built.output
    assert "To read on: studio builds logs " in built.output


def test_strict_is_not_content_with_gaps(studio: Any, tmp_path: Path) -> None:
    spec = tmp_path / "gaps.yaml"
    spec.write_text("project: {name: Gaps}\nentities:\n  Note: {title: text}\nmood: sunny\n")
    built = studio.build(spec, tmp_path / "out", "--strict")
    assert built.code == 5, explain(built)


@pytest.fixture(scope="session")
def owners(studio: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The owner's own specification, built. Its folder is named by SPECS_DIR; without it these tests do not exist."""
    spec = Path(os.environ["SPECS_DIR"]) / "factory_studio_spec.md"
    return studio.build(spec, tmp_path_factory.mktemp("owners") / "out")


if "SPECS_DIR" in os.environ:

    def test_the_owners_specification_builds_and_its_tables_are_tested_resources(
        owners: Any, tmp_path: Path
    ) -> None:
        assert owners.code == 0, explain(owners)
        project = owners.unpack(tmp_path)
        for name in ("users", "builds", "projects", "analytics"):
            assert (project / "app" / "routes" / f"{name}.py").is_file(), name
            assert (project / "tests" / "contract" / f"test_{name}.py").is_file(), name

    def test_the_owners_endpoints_exist_real_or_501(owners: Any, tmp_path: Path) -> None:
        stubs = (owners.unpack(tmp_path) / "app" / "stubs.py").read_text()
        for path in ("/builds/{id}/logs", "/builds/{id}/artifact", "/builds/{id}/cancel"):
            assert path in stubs, path
        boot = next(gate for gate in owners.report["gates"] if gate["name"] == "boot")
        assert boot["passed"], boot

    def test_the_report_accounts_for_every_node_of_the_owners_specification_once(owners: Any) -> None:
        spec = Path(os.environ["SPECS_DIR"]) / "factory_studio_spec.md"
        blueprint = read(spec.read_bytes(), name=spec.name).blueprint
        assert blueprint is not None
        assert len(blueprint.nodes) > 1000
        wanted = sorted((node.path, node.line) for node in blueprint.nodes)
        assert sorted((row["path"], row["line"]) for row in owners.report["nodes"]) == wanted

    def test_the_owners_hints_are_scaled_to_the_cap_and_that_is_said(owners: Any) -> None:
        plan = owners.report["plan"]
        assert plan["agents"] <= 200
        assert 0.27 <= plan["scale"] <= 0.34
        assert any("592 to 748" in row["text"] for row in owners.report["assumptions"])
