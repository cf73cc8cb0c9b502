"""Entities, states and roles."""

from __future__ import annotations

import pytest

from factory_core.contracts.blueprint import Grant
from factory_core.specs.names import path_of, slug_of


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("Card", "/cards"),
        ("OrderLine", "/order-lines"),
        ("order_line", "/order-lines"),
        ("Order Line", "/order-lines"),
        ("HTTPServer", "/http-servers"),
        ("users", "/users"),
        ("analytics", "/analytics"),
        ("Category", "/categories"),
        ("Day", "/days"),
        ("Class", "/classes"),
        ("Box", "/boxes"),
        ("Status", "/statuses"),
        ("Analysis", "/analyses"),
        ("Person", "/people"),
        ("people", "/people"),
        ("Sales Person", "/sales-people"),
        ("Metadata", "/metadata"),
        ("Shelf", "/shelves"),
        ("A", "/as"),
    ],
)
def test_a_path_is_kebab_case_with_the_last_word_in_the_plural(name: str, path: str):
    assert path_of(name) == path


def test_a_slug_is_ascii_kebab_case():
    assert slug_of("Crème & Brûlée 2") == "creme-brulee-2"
    assert slug_of("../x") == "x"


@pytest.mark.parametrize(
    ("entities", "problem"),
    [
        ("{OrderLine: {a: text}, order_line: {a: text}}", "same-name"),
        ("{Card: {dueDate: date, due_date: date}}", "same-name"),
        ("{Card: {id: uuid}}", "shadowed"),
        ("{Card: {createdAt: datetime}}", "shadowed"),
        ("{Card: {updated_at: datetime}}", "shadowed"),
        ("{Doc: {a: text}}", "reserved-path"),
        ("{Card: {a: text}, cards: {a: text}}", "same-path"),
        ("{Card: {a: text, _path: /docs}}", "reserved-path"),
        ("{Card: {a: text, _path: ../x}}", "path"),
        ("{Card: {a: text, _unique: [[b]]}}", "unknown-name"),
        ("{Card: {a: list text, _unique: [[a]]}}", "unique"),
        ("{Card: text}", "shape"),
        ("{Card: {a: [text]}}", "type"),
        ("{Card: {a: }}", "type"),
        ("[Card]", "shape"),
    ],
)
def test_an_entity_that_cannot_be_is_an_error(complaints, entities: str, problem: str):
    assert complaints(f"entities: {entities}\n") == [f"1:{problem}"]


def test_entity_options_are_read(blueprint):
    found = blueprint(
        """
        requirements: [{R-1: One.}, {R-2: Two.}]
        entities:
          Card:
            _path: /pinboard
            _unique: [[board, title], [title, due]]
            _description: A thing to do.
            _requirement: [R-1, R-2]
            _owner: title
            board: Card?
            title: text
            due: date?
          Label:
            requirement: R-1
            name: text
          Letter:
            requirement: text
        """
    )
    card = found.entity("Card")
    assert (card.path, card.unique_together) == ("/pinboard", (("board", "title"), ("title", "due")))
    assert (card.description, card.requirements, card.owner) == ("A thing to do.", ("R-1", "R-2"), "title")
    assert found.entity("Label").requirements == ("R-1",)
    assert [field.name for field in found.entity("Letter").fields] == ["requirement"]
    assert all(node.part for node in found.nodes)


def test_an_unknown_option_is_a_warning_and_not_understood(reading):
    found = reading("project: {name: T}\nentities: {Card: {a: text, _uniq: [[a]]}}\n")
    assert found.blueprint is not None
    assert [(problem.code, problem.suggestion) for problem in found.problems] == [
        ("unknown-key", "Did you mean _unique?")
    ]


def test_a_query_word_as_a_field_is_a_warning(reading):
    found = reading("project: {name: T}\nentities: {Card: {limit: int, a: text}}\n")
    assert found.blueprint is not None
    assert [problem.code for problem in found.problems] == ["query-word"]


@pytest.mark.parametrize(
    ("states", "problem"),
    [
        ("{Card.status: {todo: [doing]}}", None),
        ("{Card.status: {todo: doing}}", None),
        ("{Card.status: {todo: [dong]}}", "Did you mean doing?"),
        ("{Card.status: {tood: [doing]}}", "Did you mean todo?"),
        ("{Card.state: {todo: []}}", "Did you mean status?"),
        ("{Crad.status: {todo: []}}", "Did you mean Card.status?"),
        ("{Card.title: {a: []}}", "enum(open, closed)"),
        ("{Board.mood: {good: []}}", "Add to the field: = good"),
    ],
)
def test_states_use_the_words_of_an_enum_with_a_default(reading, states: str, problem: str | None):
    text = (
        "project: {name: T}\nentities:\n  Board:\n    mood: enum(good, bad)\n  Card:\n    title: text\n"
        f"    status: enum(todo, doing, done) = todo\nstates: {states}\n"
    )
    found = reading(text)
    if problem is None:
        assert found.blueprint is not None
        (machine,) = found.blueprint.states
        assert (machine.initial, machine.transitions) == ("todo", {"todo": ("doing",)})
    else:
        assert [one.suggestion for one in found.problems] == [problem] or problem in found.problems[
            0
        ].suggestion


def test_roles_hold_rights(blueprint):
    found = blueprint(
        """
        entities: {Card: {title: text}, Order Line: {title: text}}
        roles:
          boss: all
          clerk: [read, write Order Line, own Card]
        """
    )
    assert [role.name for role in found.roles] == ["boss", "clerk"]
    assert found.roles[1].grants == (
        Grant(verb="read"),
        Grant(verb="write", entity="Order Line"),
        Grant(verb="own", entity="Card"),
    )
    assert found.default_role() == "boss"


@pytest.mark.parametrize(
    "roles",
    ["[roles: admin, user, viewer]", "[admin, user, viewer]"],
)
def test_a_bare_list_of_roles_is_assumed(blueprint, roles: str):
    found = blueprint(f"roles: {roles}\n") if roles[1] == "a" else blueprint(f"auth: {{rbac: {roles}}}\n")
    assert [(role.name, [grant.verb for grant in role.grants]) for role in found.roles] == [
        ("admin", ["all"]),
        ("user", ["read", "write"]),
        ("viewer", ["read"]),
    ]
    assert len(found.assumptions) == 3


@pytest.mark.parametrize(
    ("roles", "problem"),
    [
        ("{admin: everything}", "grant"),
        ("{admin: [own]}", "grant"),
        ("{admin: [all Card]}", "grant"),
        ("{admin: [write Crad]}", "unknown-name"),
        ("{nobody: all}", "name"),
        ("{a b: all}", "name"),
        ("{Admin: all, admin: all}", "same-name"),
    ],
)
def test_a_wrong_role_is_an_error(complaints, roles: str, problem: str):
    assert complaints(f"roles: {roles}\nentities: {{Card: {{title: text}}}}\n") == [f"1:{problem}"]
