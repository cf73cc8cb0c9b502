"""The specifications we ship."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from factory_core.contracts.blueprint import Blueprint, CrudCall, FieldKind
from factory_core.specs import read, render_problems

EXAMPLES = sorted(
    path for path in (Path(__file__).parents[3] / "examples").iterdir() if path.suffix in (".yaml", ".md")
)


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
    text = ("Some prose.\n\n" if path.suffix == ".md" else "# A comment.\n\n") + path.read_text()
    moved = read(text.encode(), name=path.name).blueprint
    assert moved is not None
    blueprint = load(path)
    assert moved.project.line == blueprint.project.line + 2
    same = [msgspec.json.decode(msgspec.json.encode(replace(one, nodes=()))) for one in (moved, blueprint)]
    assert without_lines(same[0]) == without_lines(same[1])
