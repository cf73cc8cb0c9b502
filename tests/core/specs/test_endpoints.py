"""Endpoints and views."""

from __future__ import annotations

import pytest

from factory_core.contracts.blueprint import CrudCall

TYPED = """
    requirements: [{R-1: One.}, {R-2: Two.}]
    entities:
      Board: {title: text}
      Card:
        board: Board
        title: text
        status: enum(todo, doing, done) = todo
        due: date?
        note: text?
    roles: {admin: all, viewer: [read]}
"""


@pytest.mark.parametrize(
    ("endpoint", "call"),
    [
        ("POST /cards/{id}/finish: {sets: {Card.status: done}}", CrudCall.ACTION),
        ("POST /cards/{id}/finish: {sets: {status: done, due: today}, roles: [viewer], requirement: R-1}", CrudCall.ACTION),
        ("POST /cards/{card_id}/note: {sets: {note: $body.words}, body: {words: text(1..9)}}", CrudCall.ACTION),
        ("POST /boards/{id}/cards: {creates: {Card: {board: $id, title: $body.t}}, body: {t: text}}", CrudCall.ACTION),
        ("POST /boards/quick: {creates: Board, body: {title: text}, returns: Board}", CrudCall.ACTION),
        ("GET /cards/{id}/short: {returns: Card}", CrudCall.ACTION),
        ("GET /cards: {roles: [admin]}", CrudCall.LIST),
        ("PATCH /cards/{id}: {requirement: R-1}", CrudCall.UPDATE),
        ("DELETE /cards/{id}: {roles: [admin]}", CrudCall.DELETE),
        ("GET /cards/{id}/board: {returns: Board}", CrudCall.STUB),
        ("GET /cards/open: {returns: Card}", CrudCall.STUB),
        ("POST /cards/{id}/mail: {}", CrudCall.STUB),
        ("POST /cards/finish: {sets: {status: done}}", CrudCall.STUB),
        ("POST /cards/{id}/move/{to}: {sets: {status: done}}", CrudCall.STUB),
        ("GET /weather: {roles: [viewer]}", CrudCall.STUB),
        ("POST /cards/{id}/send:", CrudCall.STUB),
    ],
)  # fmt: skip
def test_an_endpoint_is_generated_only_when_all_of_it_is_understood(blueprint, endpoint: str, call: CrudCall):
    found = blueprint(f"{TYPED}\n    endpoints:\n      {endpoint}\n")
    (one,) = found.endpoints
    assert one.call is call
    assert "{card_id}" not in one.path
    assert all(node.part for node in found.nodes)


def test_an_endpoint_with_a_wish_nobody_knows_is_a_stub(reading):
    text = "project: {name: T}\nentities: {Card: {done: bool = false}}\nendpoints:\n"
    found = reading(f"{text}  POST /cards/{{id}}/finish: {{sets: {{done: true}}, sends: mail}}\n")
    assert found.blueprint is not None
    assert found.blueprint.endpoints[0].call is CrudCall.STUB
    assert [problem.code for problem in found.problems] == ["unknown-key"]
    assert "501" in found.problems[0].message
    assert {node.part for node in found.blueprint.nodes if "finish" in node.path} == {
        "endpoint:POST /cards/{id}/finish"
    }


def test_the_parts_of_an_action_arrive(blueprint):
    found = blueprint(
        f"{TYPED}\n    endpoints:\n      POST /boards/{{id}}/cards:\n"
        "        creates: {Card: {board: $id, title: $body.title, status: doing}}\n"
        "        body: {title: text(1..80)}\n        roles: admin\n        requirement: [R-1, R-2]\n        returns: Card\n"
    )
    (one,) = found.endpoints
    assert (one.method, one.path, one.entity, one.creates) == ("POST", "/boards/{id}/cards", "Board", "Card")
    assert one.creates_values == {"board": "$id", "title": "$body.title", "status": "doing"}
    assert [(field.name, field.maximum) for field in one.body] == [("title", 80)]
    assert (one.roles, one.requirements, one.returns) == (("admin",), ("R-1", "R-2"), "Card")


@pytest.mark.parametrize(
    ("endpoint", "problem"),
    [
        ("PUT /cards/{id}: {}", "endpoint"),
        ("finish the card: {}", "endpoint"),
        ("POST /cards/../x: {}", "endpoint"),
        ("GET /docs/x: {}", "reserved-path"),
        ("POST /cards/{id}/x: {sets: {Board.title: a}}", "sets"),
        ("POST /cards/{id}/x: {sets: {statsu: done}}", "unknown-name"),
        ("POST /cards/{id}/x: {sets: {status: dnoe}}", "value"),
        ("POST /cards/{id}/x: {sets: {title: null}}", "value"),
        ("POST /cards/{id}/x: {sets: {note: $body.words}}", "unknown-name"),
        ("POST /cards/{id}/x: {sets: {due: now}}", "value"),
        ("POST /boards/{id}/x: {creates: {Card: {board: $id}}}", "creates"),
        ("POST /boards/{id}/x: {creates: Crad}", "unknown-name"),
        ("POST /cards/{id}/x: {sets: {status: done}, roles: [amdin]}", "unknown-name"),
        ("POST /cards/{id}/x: {sets: {status: done}, requirement: R-9}", "unknown-name"),
    ],
)
def test_a_wrong_endpoint_is_an_error(reading, endpoint: str, problem: str):
    text = f"project: {{name: T}}{TYPED}    endpoints:\n      {endpoint}\n".replace("\n    ", "\n")
    assert [one.code for one in reading(text).errors] == [problem]


def test_an_endpoint_stands_once(complaints):
    text = "endpoints:\n  POST /a/{id}: {}\n  POST /a/{b}: {}\n"
    assert complaints(text) == ["3:duplicate-endpoint"]


def test_views_name_fields(blueprint, complaints):
    found = blueprint(
        f"{TYPED}\n    views:\n      All: {{lists: Card, group_by: status, sort: [-due, title],"
        " columns: [title, created_at], form: [title], filter: {due_gte: 2026-01-01, note: null}, requirement: R-1}\n"
    )
    (view,) = found.views
    assert (view.lists, view.group_by, view.sort) == ("Card", "status", ("-due", "title"))
    assert (view.columns, view.form) == (("title", "created_at"), ("title",))
    assert view.filter == {"due_gte": "2026-01-01", "note": None}
    card = "entities: {Card: {title: text}}\nviews:\n"
    assert complaints(f"{card}  ../x: {{lists: Card}}\n") == ["3:name"]
    assert complaints(f"{card}  All: {{lists: Card, columns: [titel]}}\n") == ["3:unknown-name"]
    assert complaints(f"{card}  All: {{columns: [title]}}\n") == ["3:view"]
    assert complaints(f"{card}  All: {{lists: Card, filter: {{title_like: x}}}}\n") == ["3:unknown-name"]
