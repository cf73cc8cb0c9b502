"""The specifications we ship, and the owner's own."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from factory_core.contracts.blueprint import Blueprint, CrudCall, FieldKind
from factory_core.specs import read, render_problems

EXAMPLES = sorted(
    path for path in (Path(__file__).parents[3] / "examples").iterdir() if path.suffix in (".yaml", ".md")
)
SEED = "factory_studio_spec.md"


def load(path: Path) -> Blueprint:
    found = read(path.read_bytes(), name=path.name)
    assert found.blueprint is not None, render_problems(found, path.name)
    assert found.problems == (), render_problems(found, path.name)
    return found.blueprint


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_read_without_a_complaint(path: Path):
    blueprint = load(path)
    linked = {one for case in blueprint.acceptance for one in case.requirements}
    declared = {one.id for one in blueprint.requirements if one.id.startswith("R-") and len(one.id) < 6}
    assert linked == declared, "every requirement of an example is shown by a case"
    assert len({node.path for node in blueprint.nodes}) == len(blueprint.nodes)
    if path.suffix == ".yaml":
        assert all(node.part for node in blueprint.nodes)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_a_blueprint_survives_being_stored(path: Path):
    blueprint = load(path)
    assert msgspec.json.decode(msgspec.json.encode(blueprint), type=Blueprint) == blueprint


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_reading_twice_gives_the_same(path: Path):
    assert load(path) == load(path)


def test_the_examples_differ_in_kind():
    found = {path.stem: load(path) for path in EXAMPLES}
    assert len(found["warehouse-40"].entities) == 40
    assert found["taskboard"].states
    assert found["taskboard"].views
    assert any(field.target == "Team" for field in found["team-tree"].entity("Team").fields)
    assert any(field.kind is FieldKind.MANY for field in found["library"].entity("Book").fields)
    assert [role.name for role in found["clinic"].roles] == ["admin", "doctor", "desk"]
    assert {"User", "Class", "Order", "Select"} == {
        entity.name for entity in found["reserved-words"].entities
    }
    assert [one.call for one in found["orders"].endpoints] == [CrudCall.ACTION] * 4
    assert found["studio-dialect"].phases


def without_lines(value: object) -> object:
    """Plain data without the places it came from."""
    if isinstance(value, dict):
        return {key: without_lines(inner) for key, inner in value.items() if key != "line"}
    return [without_lines(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_a_comment_more_changes_nothing_but_lines(path: Path):
    if path.suffix == ".md":
        text = "Some prose.\n\n" + path.read_text()
    else:
        text = "# A comment.\n\n" + path.read_text()
    moved = read(text.encode(), name=path.name).blueprint
    assert moved is not None
    blueprint = load(path)
    assert moved.project.line == blueprint.project.line + 2
    same = [msgspec.to_builtins(replace(one, nodes=())) for one in (moved, blueprint)]
    assert without_lines(same[0]) == without_lines(same[1])


@pytest.mark.parametrize("folder", [folder for folder in (os.environ.get("SPECS_DIR"),) if folder])
def test_the_owners_specification_is_read_and_nothing_of_it_dropped(folder: str):
    """Exists only where SPECS_DIR names the folder of the owner's documents, which are no part of the repository."""
    text = (Path(folder) / SEED).read_text()
    blueprint = load(Path(folder) / SEED)
    assert text.count("```yaml") == 16

    sized = [hint for hint in blueprint.hints.agents if hint.low is not None and hint.high is not None]
    assert len(sized) == 52
    assert (sum(hint.low or 0 for hint in sized), sum(hint.high or 0 for hint in sized)) == (592, 748)
    assert [hint.percent for hint in blueprint.hints.agents if hint.percent] == [40, 30, 20, 10]
    assert blueprint.constraints.max_agents == 200

    tasks = [task for phase in blueprint.phases for task in phase.tasks]
    names = {phase.name for phase in blueprint.phases}
    assert (len(blueprint.phases), len(tasks)) == (6, 20)
    assert sum(name in names for task in tasks for name in task.after) == 7
    assert [phase.window_minutes for phase in blueprint.phases][-1] == (210, 240)

    assert {entity.name: entity.path for entity in blueprint.entities} == {
        name: f"/{name}" for name in ("users", "builds", "projects", "analytics")
    }
    builds, projects = blueprint.entity("builds"), blueprint.entity("projects")
    assert (builds.field("user_id").kind, builds.field("user_id").target) == (FieldKind.REFERENCE, "users")
    assert projects.field("template_id").kind is FieldKind.UUID
    assert [role.name for role in blueprint.roles] == ["admin", "user", "viewer"]
    assert {one.name: one.path for one in blueprint.endpoints} == {
        "POST_create_build": "/builds",
        "GET_list_builds": "/builds",
        "GET_build_details": "/builds/{id}",
        "GET_build_logs": "/builds/{id}/logs",
        "GET_download_artifact": "/builds/{id}/artifact",
        "DELETE_cancel_build": "/builds/{id}/cancel",
        "CRUD_operations": "/projects/{id}",
    }

    leaves = [node for node in blueprint.nodes if node.part != "hint" or "#" not in node.path]
    assert len({node.path for node in blueprint.nodes}) == len(blueprint.nodes)
    assert len(leaves) > 900
    assert {"README.md", ".env.example", "LICENSE"} <= set(blueprint.deliverables)
    assert blueprint.technology["fastapi"] == "0.109+"
    assert len(blueprint.do_not_build) == 10
