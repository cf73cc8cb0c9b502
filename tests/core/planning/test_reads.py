"""What is not declared is not handed over, and changes nothing."""

from __future__ import annotations

from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from factory_core.builds.memo import memo_digest
from factory_core.contracts.agent import Work
from factory_core.contracts.blueprint import Blueprint, Constraints, Entity, Field, FieldKind, Project
from factory_core.contracts.template import Manifest, TemplatePackage, ToolchainSpec, WorkSpec
from factory_core.planning import reads_for
from factory_core.planning.reads import PARTS, PREFIX

FIELD = Field(name="title", kind=FieldKind.TEXT, line=4)
BLUEPRINT = Blueprint(
    project=Project(name="P", slug="p", line=2),
    entities=(Entity(name="Card", path="/cards", fields=(FIELD,), line=3),),
    constraints=Constraints(max_agents=9),
    technology={"Python": "3"},
)


def reads(*declared: str):
    works = (
        WorkSpec(name="design", agent="a"),
        WorkSpec(name="w", agent="a", reads=declared),
        WorkSpec(name="all", agent="a"),
    )
    return lambda work: reads_for(works, {"work": work})


def test_work_that_declares_nothing_reads_everything() -> None:
    for work in ("all", "", "unknown"):
        found = reads()(work)
        assert found.of(BLUEPRINT) is BLUEPRINT
        assert found.sees("any/path")
        assert found.hears({"work": "design"})


def test_an_empty_list_is_the_projects_own_facts() -> None:
    found = reads()("w")
    assert found.of(BLUEPRINT) == Blueprint(project=Project(name="P", slug="p"))
    assert not found.sees("Makefile")
    assert not found.hears({"work": "design"})


def test_files_are_read_by_patterns_and_data_by_the_name_of_the_work() -> None:
    found = reads("app/**/*.py", "pyproject.toml", "design", "blueprint")("w")
    seen = [
        path
        for path in ("app/a.py", "app/b/c.py", "app/a.js", "tests/a.py", "pyproject.toml")
        if found.sees(path)
    ]
    assert seen == ["app/a.py", "app/b/c.py", "pyproject.toml"]
    assert found.hears({"work": "design"})
    assert not found.hears({"work": "all"})
    assert found.of(BLUEPRINT) is BLUEPRINT


def test_parts_of_the_blueprint_come_without_lines() -> None:
    (entity,) = reads("blueprint.entities")("w").of(BLUEPRINT).entities
    assert (entity.name, entity.line, entity.fields[0].line) == ("Card", 0, 0)


@given(
    st.sets(st.sampled_from(sorted(PARTS))),
    st.builds(
        Blueprint,
        project=st.just(Project(name="P", slug="p")),
        entities=st.lists(
            st.builds(Entity, name=st.sampled_from("AB"), path=st.just("/x"), line=st.integers(0, 9)),
            max_size=2,
        ).map(tuple),
        constraints=st.builds(Constraints, max_agents=st.integers(1, 9)),
        technology=st.dictionaries(st.sampled_from("ab"), st.sampled_from("12")),
        deliverables=st.lists(st.sampled_from("ab")).map(tuple),
    ),
    st.sampled_from(["entities", "constraints", "technology", "deliverables"]),
)
def test_an_edit_changes_the_key_exactly_when_it_changes_what_is_read(
    parts: set[str], edited: Blueprint, part: str
) -> None:
    """``part`` of the blueprint becomes that of ``edited``."""
    after = msgspec.structs.replace(BLUEPRINT, **{part: getattr(edited, part)})
    found = reads(*(PREFIX + name for name in parts))("w")
    before_read, after_read = found.of(BLUEPRINT), found.of(after)
    assert (key_of(before_read) == key_of(after_read)) == (before_read == after_read)
    if part not in parts:
        assert before_read == after_read


def key_of(blueprint: Blueprint) -> str:
    manifest = Manifest(name="t", version="1", title="T", toolchain=ToolchainSpec(lock="l"), work=())
    template = TemplatePackage(manifest=manifest, root=Path(), digest="d")
    return memo_digest("a", "1", Work(task="w", params={}, blueprint=blueprint, template=template, inputs=()))
