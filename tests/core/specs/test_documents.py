"""Markdown, merging, positions, nodes and how problems look."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_core.specs import Severity, describe_problems, read, render_problems

MARKDOWN = """\
Intro before the heading.

# The   Task board

Prose with `code`, and a block that is not YAML:

```bash
rm -rf everything: {
```

```yaml
entities:
  Card:
    title: text
```

* a list

  ```yml
  entities:
    Card:
      status: enum(a, b) = a
    Board: {title: txt}
  ```

~~~ yaml extra words
constraints: {max_agents: 7}
~~~
"""


def test_fenced_blocks_merge_and_the_heading_names_the_project():
    found = read(MARKDOWN.replace("txt", "text").encode(), name="spec.md")
    blueprint = found.blueprint
    assert blueprint is not None, found.problems
    assert [field.name for field in blueprint.entity("Card").fields] == ["title", "status"]
    assert [field.line for field in blueprint.entity("Card").fields] == [14, 22]
    assert blueprint.constraints.max_agents == 7
    assert (blueprint.project.name, blueprint.project.slug) == ("The Task board", "the-task-board")
    assert [(one.path, one.line) for one in blueprint.assumptions] == [("project.name", 3)]


def test_problems_in_markdown_stand_on_the_lines_and_columns_of_the_file():
    found = read(MARKDOWN.encode(), name="spec.md")
    (problem,) = found.problems
    assert (problem.line, problem.column) == (23, 20)
    assert MARKDOWN.split("\n")[22][19:22] == "txt"


def test_a_syntax_error_in_one_block_does_not_hide_those_of_others():
    text = "# T\n\n```yaml\na: [\n```\n\n```yaml\nb: 1\nb: 2\n```\n\n```yaml\nc: }\n```\n"
    found = read(text.encode(), name="spec.md")
    assert [problem.code for problem in found.problems] == ["yaml", "duplicate-key", "yaml"]


def test_an_underlined_heading_counts():
    found = read(b"Shop\n====\n\n```yaml\nfactory: 1\n```\n", name="spec.markdown")
    assert found.blueprint is not None
    assert found.blueprint.project.name == "Shop"


def test_prose_alone_is_a_skeleton_with_a_warning():
    found = read("# Überraschung\n\nBuild something nice.\n".encode(), name="SPEC.MD")
    assert found.blueprint is not None
    assert found.blueprint.project.slug == "uberraschung"
    assert [(problem.severity, problem.code) for problem in found.problems] == [(Severity.WARNING, "empty")]


def test_a_name_without_ascii_gets_a_slug_of_its_own(blueprint):
    found = blueprint("project: {name: 看板}\n")
    assert found.project.slug.startswith("project-")
    assert len(found.project.slug) == 16


def test_a_specification_needs_a_name(reading):
    assert [problem.code for problem in reading("factory: 1\n").problems] == ["project"]
    assert [problem.code for problem in reading("").problems] == ["project"]


def fenced(*blocks: str) -> bytes:
    return ("# T\n" + "".join(f"\n```yaml\n{block}\n```\n" for block in blocks)).encode()


def test_equal_values_merge_and_different_ones_name_both_lines():
    equal = read(fenced("a: {b: [1, 2], c: 'x'}", 'a: {c: "x", b: [1, 2]}'), name="t.md")
    assert equal.blueprint is not None
    assert [node.path for node in equal.blueprint.nodes] == ["a.b[0]", "a.b[1]", "a.c"]
    different = read(fenced("a: {b: 1}", "a: {b: '1'}"), name="t.md")
    (problem,) = different.problems
    assert (problem.code, problem.line) == ("conflict", 8)
    assert "lines 4 and 8" in problem.message


def test_lists_are_never_joined():
    (problem,) = read(fenced("a: [1]", "a: [1, 2]"), name="t.md").problems
    assert problem.code == "conflict"
    assert "never joined" in problem.suggestion


def test_two_spellings_are_one_key():
    found = read(fenced("_constraints: {max_agents: 3}", "constraints: {min_test_coverage: 90}"), name="t.md")
    assert found.blueprint is not None
    assert (found.blueprint.constraints.max_agents, found.blueprint.constraints.min_test_coverage) == (3, 90)
    (problem,) = read(fenced("_meta: {paradigm: swarm}", "meta: {paradigm: hybrid}"), name="t.md").problems
    assert problem.code == "conflict"
    for other in ("behaviors", "_behaviors", "behaviours"):
        behaviour = read(fenced(f"{other}: {{on_failure: x}}"), name="t.md")
        assert behaviour.blueprint is not None
        assert behaviour.blueprint.behaviours == {"on_failure": "x"}


def test_a_duplicate_key_names_both_lines(reading):
    found = reading("project: {name: T}\na: 1\nb: 2\na: 1\n")
    (problem,) = found.problems
    assert (problem.code, problem.line, problem.column) == ("duplicate-key", 4, 1)
    assert "line 2" in problem.message


BLOCKS = (
    "project: {name: T}",
    "entities: {A: {x: text}}",
    "entities: {B: {a: A}}",
    "free: {text: [1, {z: 2}]}",
)


@given(st.permutations(BLOCKS))
def test_the_order_of_blocks_does_not_matter_when_their_keys_differ(order: list[str]):
    found = read(fenced(*order), name="t.md").blueprint
    first = read(fenced(*BLOCKS), name="t.md").blueprint
    assert found is not None
    assert first is not None
    assert {entity.name: entity.path for entity in found.entities} == {
        entity.name: entity.path for entity in first.entities
    }
    assert {node.path: node.part for node in found.nodes} == {node.path: node.part for node in first.nodes}


KEYS = st.sampled_from(["a", "b", "c", "d.e", 'q"', "x y"])
LEAVES = st.one_of(
    st.integers(-9, 9), st.booleans(), st.none(), st.sampled_from(["text", "# no comment", "null", ""])
)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
)


def count_leaves(tree: object) -> int:
    if isinstance(tree, dict) and tree:
        return sum(map(count_leaves, tree.values()))
    if isinstance(tree, list) and tree:
        return sum(map(count_leaves, tree))
    return 1


@given(st.dictionaries(KEYS, TREES, min_size=1, max_size=4))
def test_every_leaf_and_empty_container_is_one_node(tree: dict[str, object]):
    document = {"project": {"name": "T"}, "free": tree}
    found = read(json.dumps(document).encode()).blueprint
    assert found is not None
    assert len(found.nodes) == 1 + count_leaves(tree)
    assert len({node.path for node in found.nodes}) == len(found.nodes)
    assert [node.part for node in found.nodes] == ["project", *[""] * count_leaves(tree)]


@settings(max_examples=300)
@given(
    st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)),
    st.sampled_from(["a.yaml", "a.md"]),
)
def test_any_bytes_end_in_a_reading(data: bytes, name: str):
    found = read(data, name=name)
    assert (found.blueprint is None) == bool(found.errors)
    assert all(problem.line >= 1 and problem.column >= 1 for problem in found.problems)
    render_problems(found, name)


TOKENS = st.sampled_from(
    ["project", "entities", "roles", "endpoints", "acceptance", "rules", "phases", "states", "views", "requirements",
     "constraints", "agent_hints", "name", "A", "text", "a", ":", ": ", "- ", "\n", "\n  ", "\n    ", "[", "]", "{", "}",
     ",", "*a", "&a ", "!", "|", ">", "'", '"', "#", " # 3 agents", "$x", "1", "null", "enum(a", "b)", "?", "GET /a"]
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(TOKENS, max_size=40).map("".join), st.sampled_from(["", "```yaml\n"]))
def test_any_jumble_of_words_ends_in_a_reading(text: str, head: str):
    name = "a.md" if head else "a.yaml"
    found = read(f"{head}project: {{name: T}}\n{text}".encode(), name=name)
    assert (found.blueprint is None) == bool(found.errors)


SECTIONS = (
    "project", "entities", "states", "rules", "roles", "endpoints", "views", "requirements", "acceptance", "constraints",
    "behaviors", "meta", "phases", "agent_hints", "technology", "deliverables", "do_not_build", "success_metrics",
    "reference_implementations", "special_instructions", "tables", "factory",
)  # fmt: skip


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize(
    "value", ["5", "text", "[]", "{}", "[1, [2], {a: [b]}]", "{a: 1, b: [c], d: {e: f}}", "null", "[{}]"]
)
def test_a_section_of_the_wrong_shape_is_a_problem_and_not_a_crash(reading, section: str, value: str):
    project = "" if section == "project" else "project: {name: T}\n"
    found = reading(f"{project}{section}: {value}\n")
    assert (found.blueprint is None) == bool(found.errors)


def test_problems_show_the_line_a_caret_and_a_way_out(reading):
    text = "project: {name: T}\nentities:\n  Card: {title: txt}\n"
    found = reading(text)
    assert render_problems(found, "spec.yaml") == (
        'spec.yaml:3:17: error: "title": "txt" is neither a type nor an entity. [type]\n'
        "    3 |   Card: {title: txt}\n"
        "      |                 ^\n"
        "      = Did you mean text?"
    )
    described = describe_problems(found, "spec.yaml")
    assert json.loads(json.dumps(described)) == {
        "file": "spec.yaml",
        "ok": False,
        "problems": [
            {
                "severity": "error",
                "code": "type",
                "message": '"title": "txt" is neither a type nor an entity.',
                "line": 3,
                "column": 17,
                "suggestion": "Did you mean text?",
            }
        ],
    }


def test_a_long_line_is_cut_around_the_caret(reading):
    found = reading(f"project: {{name: T}}\nx: {'word ' * 60}[\ny: {'word ' * 60}{{\nentities: 5\n")
    shown = render_problems(found, "s").split("\n")
    assert max(map(len, itertools.chain(shown))) < 200


def test_all_problems_are_shown_at_once_in_order_of_lines(complaints):
    assert complaints(
        """
        entities:
          Card: {title: txt}
          id-card: {id: text}
        roles: {admin: everything}
        views: {Board: {lists: Crad}}
        """
    ) == ["2:type", "3:shadowed", "4:grant", "5:unknown-name"]


def test_a_misspelt_section_is_a_warning_and_stays_not_understood(reading):
    found = reading("project: {name: T}\nentites: {Card: {title: text}}\n")
    assert found.blueprint is not None
    (problem,) = found.problems
    assert (problem.code, problem.suggestion) == ("unknown-key", "Did you mean entities?")


def test_another_version_of_the_language_is_refused(complaints):
    assert complaints("factory: 2\n") == ["1:version"]
