"""The front end's model of a service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_core.contracts.blueprint import Blueprint, Entity, Field, FieldKind, Project, View
from factory_plugin_agents.front import front_model

NAMES = st.sampled_from(
    ["Order", "User", "class", "constructor", "toString", "Order Line", "select", "Zahl2", "x-y"]
)
SIMPLE = st.sampled_from([kind for kind in FieldKind if kind not in {FieldKind.LIST, FieldKind.MANY}])


@st.composite
def blueprints(draw: st.DrawFn) -> Blueprint:
    """Some entities with fields of any kind that refer to each other, and views of them."""
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    entities = tuple(
        Entity(name=name, path=f"/p{index}", fields=draw(fields(names))) for index, name in enumerate(names)
    )
    views = draw(st.lists(st.builds(View, name=NAMES, lists=st.sampled_from(names)), max_size=4))
    return Blueprint(
        project=Project(name=draw(st.text(min_size=1)), slug="s"), entities=entities, views=tuple(views)
    )


@st.composite
def fields(draw: st.DrawFn, targets: list[str]) -> tuple[Field, ...]:
    """Fields of different names."""
    made: list[Field] = []
    for name in draw(st.lists(NAMES, max_size=6, unique=True)):
        kind = draw(SIMPLE)
        target = draw(st.sampled_from(targets)) if kind is FieldKind.REFERENCE else None
        values = ("a", "b") if kind is FieldKind.ENUM else ()
        made.append(Field(name=name, kind=kind, optional=draw(st.booleans()), target=target, values=values))
    return tuple(made)


def objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        yield from objects(child)


def entity_of(blueprint: Blueprint, name: str) -> dict[str, Any]:
    return next(entity for entity in front_model(blueprint)["entities"] if entity["name"] == name)


@given(blueprints())
def test_every_entity_field_and_view_is_in_the_model_in_the_order_of_the_spec(blueprint: Blueprint) -> None:
    model = front_model(blueprint)

    assert [(each["name"], [field["name"] for field in each["fields"]]) for each in model["entities"]] == [
        (entity.name, [field.name for field in entity.fields]) for entity in blueprint.entities
    ]
    assert [(view["name"], view["entity"]) for view in model["views"]] == [
        (view.name, view.lists) for view in blueprint.views
    ]


@given(blueprints())
def test_equal_blueprints_give_equal_documents_of_plain_json(blueprint: Blueprint) -> None:
    model = front_model(blueprint)
    copy = msgspec.json.decode(msgspec.json.encode(blueprint), type=Blueprint)

    assert json.loads(json.dumps(model)) == model
    assert front_model(copy) == model


@given(blueprints())
def test_no_word_of_the_spec_becomes_a_key(blueprint: Blueprint) -> None:
    keys = {key for each in objects(front_model(blueprint)) for key in each}
    words = {entity.name for entity in blueprint.entities} | {
        field.name for entity in blueprint.entities for field in entity.fields
    }

    assert keys.isdisjoint(words)


@given(blueprints())
def test_the_keys_of_views_differ(blueprint: Blueprint) -> None:
    keys = [view["key"] for view in front_model(blueprint)["views"]]
    assert len(set(keys)) == len(keys)


def test_the_version_changes_with_the_model(blueprint: Blueprint) -> None:
    other = msgspec.structs.replace(blueprint, views=())
    assert front_model(blueprint)["version"] != front_model(other)["version"]


@pytest.mark.parametrize(
    ("entity", "title"),
    [("Reader", "name"), ("Book", "isbn"), ("Loan", None)],
)
def test_a_row_is_called_by_its_first_required_text(
    blueprint: Blueprint, entity: str, title: str | None
) -> None:
    assert entity_of(blueprint, entity)["titleField"] == title


def test_names_are_shown_as_words(blueprint: Blueprint) -> None:
    book = entity_of(blueprint, "Book")
    labels = {field["name"]: field["label"] for field in book["fields"]}

    assert (book["title"], book["plural"], book["path"]) == ("Book", "Books", "/books")
    assert labels["page_url"] == "Page url"
    assert {field["name"]: field["label"] for field in entity_of(blueprint, "Loan")["fields"]}[
        "book_id"
    ] == "Book"


@pytest.mark.parametrize(
    ("name", "path", "title"),
    [
        ("builds", "/builds", "Build"),
        ("OrderLine", "/order-lines", "Order line"),
        ("categories", "/categories", "Category"),
        ("boxes", "/boxes", "Box"),
        ("classes", "/classes", "Class"),
        ("analytics", "/analytics", "Analytics"),
        ("URL", "/urls", "URL"),
    ],
)
def test_one_row_is_called_by_one_word_of_the_entity(name: str, path: str, title: str) -> None:
    entity = Entity(name=name, path=path, fields=())
    blueprint = Blueprint(project=Project(name="x", slug="x"), entities=(entity,))
    assert entity_of(blueprint, name)["title"] == title


def test_a_form_insists_only_on_what_a_row_needs(blueprint: Blueprint) -> None:
    required = {field["name"] for field in entity_of(blueprint, "Book")["fields"] if field.get("required")}
    assert required == {"isbn", "title"}


def test_secrets_are_no_columns(blueprint: Blueprint) -> None:
    reader = entity_of(blueprint, "Reader")

    assert "password" not in reader["columns"]
    assert [field["name"] for field in reader["fields"] if field.get("secret")] == ["password"]


def test_money_and_long_text_are_told_apart(blueprint: Blueprint) -> None:
    fields = {field["name"]: field for field in entity_of(blueprint, "Book")["fields"]}

    assert front_model(blueprint)["currency"] == "EUR"
    assert (fields["price"]["kind"], fields["price"]["money"], fields["price"]["scale"]) == (
        "decimal",
        True,
        2,
    )
    assert [name for name, field in fields.items() if field.get("long")] == ["summary"]
    assert fields["words"]["item"]["kind"] == "text"


def test_states_become_moves_and_a_board(blueprint: Blueprint) -> None:
    loan = entity_of(blueprint, "Loan")

    assert loan["groupBy"] == "state"
    assert loan["states"][0]["initial"] == "asked"
    assert loan["states"][0]["moves"] == [
        {"from": "asked", "to": ["out"]},
        {"from": "out", "to": ["back"]},
        {"from": "back", "to": []},
    ]


def test_rows_know_who_refers_to_them(blueprint: Blueprint) -> None:
    assert entity_of(blueprint, "Reader")["related"] == [
        {"entity": "Book", "field": "authors"},
        {"entity": "Loan", "field": "reader"},
    ]


def test_a_declared_endpoint_is_an_action_named_by_its_last_word(blueprint: Blueprint) -> None:
    (action,) = entity_of(blueprint, "Loan")["actions"]

    assert (action["label"], action["method"], action["onRow"]) == ("Hand out", "POST", True)
    assert action["sets"] == [{"field": "state", "value": "out"}]
    assert action["roles"] == ["admin", "clerk"]


def test_grants_say_who_may_do_what(blueprint: Blueprint) -> None:
    assert entity_of(blueprint, "Loan")["access"] == {
        "read": ["admin", "clerk"],
        "create": ["admin", "clerk"],
        "update": ["admin", "clerk"],
        "delete": ["admin", "clerk"],
    }
    book = entity_of(blueprint, "Book")["access"]
    assert (book["read"], book["update"]) == (["admin", "clerk", "guest"], ["admin"])


def test_an_endpoint_that_names_roles_opens_to_them_and_to_whoever_may_do_everything(
    blueprint: Blueprint,
) -> None:
    assert entity_of(blueprint, "Book")["access"]["delete"] == ["admin", "clerk"]


def test_views_ask_the_way_the_service_understands(blueprint: Blueprint) -> None:
    desk, other = front_model(blueprint)["views"]

    assert (desk["key"], desk["kind"], desk["filter"]) == (
        "desk",
        "board",
        [{"key": "state_in", "value": "asked,out"}],
    )
    assert (other["key"], other["kind"], other["sort"]) == ("unpriced-books", "list", "-printed,title")
    assert other["filter"] == [{"key": "price", "value": "null"}]
    assert (desk["form"], other["columns"]) == (["book_id", "reader"], ["title", "price"])
