"""Acceptance cases become statements that a person can read and that say the same."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from factory_core.contracts.blueprint import AcceptanceCase, Blueprint, Project, Step
from factory_plugin_agents.acceptance import case_views


def statements(*steps: Step) -> tuple[str, ...]:
    case = AcceptanceCase(name="a case", steps=steps)
    (view,) = case_views(Blueprint(project=Project(name="x", slug="x"), acceptance=(case,)))
    for statement in view.steps:
        ast.parse(statement)
    return view.steps


def test_a_step_is_one_call_with_what_it_expects() -> None:
    step = Step(
        method="GET",
        path="/cards?status=done",
        role="viewer",
        status=200,
        expect_body={"items": [{"title": "any", "size": 1.5}]},
        has_expect_body=True,
        count=1,
        headers={"content-type": "any"},
        absent=("password",),
    )
    assert statements(step) == (
        'story.get("/cards?status=done", role="viewer", status=200, '
        'answer={"items": [{"title": ANYTHING, "size": 1.5}]}, count=1, '
        'headers={"content-type": ANYTHING}, absent=["password"])',
    )


def test_references_become_indexing_and_only_used_answers_are_kept() -> None:
    made = statements(
        Step(method="POST", path="/boards", body={"title": "any"}, has_body=True, save="board"),
        Step(method="POST", path="/cards", body={"board": "$board.items.0.id"}, has_body=True, save="unused"),
        Step(
            method="PATCH",
            path="/cards/$board.id/x{y}",
            body={"note": "for $$5, $board.title"},
            has_body=True,
        ),
    )
    assert made == (
        'board = story.post("/boards", {"title": "any"})',
        'story.post("/cards", {"board": board["items"][0]["id"]})',
        'story.patch(f"/cards/{board[\'id\']}/x{{y}}", {"note": f"for $5, {board[\'title\']}"})',
    )


@pytest.mark.parametrize(
    "value", ['a "quote"', "back\\slash", "new\nline", "{brace}", "ünï", None, True, 1, 1.5, [1], {}]
)
def test_bodies_keep_their_values(value: Any) -> None:
    (made,) = statements(Step(method="POST", path="/x", body={"k": value}, has_body=True))
    call = ast.parse(made).body[0]
    assert isinstance(call, ast.Expr)
    assert isinstance(call.value, ast.Call)
    assert ast.literal_eval(call.value.args[1]) == {"k": value}


def test_cases_of_equal_words_get_names_that_differ() -> None:
    cases = tuple(AcceptanceCase(name=name, steps=()) for name in ("A card!", "a card", "a-card"))
    views = case_views(Blueprint(project=Project(name="x", slug="x"), acceptance=cases))
    assert len({view.slug for view in views}) == 3
