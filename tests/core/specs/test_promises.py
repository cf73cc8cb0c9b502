"""Requirements and acceptance cases."""

from __future__ import annotations

import pytest


def test_requirements_get_ids_that_white_space_does_not_change(blueprint):
    one = blueprint("requirements:\n  - A card   has a board.\n  - 'Note: cards have titles.'\n")
    two = blueprint("requirements:\n  - Something new.\n  - |\n    A card has\n    a board.\n")
    assert one.requirements[0].id == two.requirements[1].id == "R-a6473817"
    assert one.requirements[1].text == "Note: cards have titles."


def test_a_sentence_with_a_colon_is_a_sentence(blueprint):
    (found,) = blueprint("requirements:\n  - Speed matters: pages are quick.\n").requirements
    assert found.text == "Speed matters: pages are quick."


@pytest.mark.parametrize(
    ("requirements", "problem"),
    [
        ("[{R-1: A.}, {R-1: B.}]", "same-requirement"),
        ("[{R-1: {by: [Card]}}]", "requirement"),
        ("[{R-1: {text: A., by: [Crad]}}]", "unknown-name"),
        ("[{R-1: [a]}]", "shape"),
        ("[[a]]", "shape"),
    ],
)
def test_a_wrong_requirement_is_an_error(complaints, requirements: str, problem: str):
    assert complaints(f"requirements: {requirements}\nentities: {{Card: {{title: text}}}}\n") == [
        f"1:{problem}"
    ]


def test_a_requirement_may_be_done_by_anything_of_the_product(blueprint):
    found = blueprint(
        """
        entities: {Card: {title: text}}
        views: {All cards: {lists: Card}}
        requirements:
          R-1: {text: A., by: [Card, Card.title, POST /cards, "GET /cards/{id}", All cards]}
        """
    )
    assert len(found.requirements[0].by) == 5


def test_a_step_says_all_it_says(blueprint):
    found = blueprint(
        """
        roles: {admin: all, viewer: read}
        entities: {Card: {title: text}}
        acceptance:
          - name: everything
            steps:
              - {post: /cards, body: {title: $$5, n: 1.5, d: 2026-01-01, z: null}, save: card}
              - get: /cards/$card.id
                as: nobody
                expect: {status: 401, body: {items: [any]}, count: 0, header: {WWW-Authenticate: Bearer}, absent: [pin]}
              - {delete: /cards/$card.items.0.id, as: viewer, expect: 403}
        """
    )
    first, second, third = found.acceptance[0].steps
    assert (first.method, first.path, first.save, first.status, first.role) == (
        "POST",
        "/cards",
        "card",
        None,
        None,
    )
    assert first.body == {"title": "$$5", "n": 1.5, "d": "2026-01-01", "z": None}
    assert (second.status, second.count, second.headers) == (401, 0, {"WWW-Authenticate": "Bearer"})
    assert (second.expect_body, second.absent, second.role) == ({"items": ["any"]}, ("pin",), "nobody")
    assert (third.role, third.status, third.line) == ("viewer", 403, 11)
    assert all(node.part for node in found.nodes)


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ("{put: /cards}", "step"),
        ("{get: /a, post: /b}", "step"),
        ("{get: cards}", "step"),
        ("{get: /cards/$crad.id}", "unknown-name"),
        ("{post: /cards, body: {a: [$x]}}", "unknown-name"),
        ("{get: /cards, expect: ok}", "expect"),
        ("{get: /cards, expect: {count: many}}", "expect"),
        ("{get: /cards, expect: 999}", "expect"),
        ("{get: /cards, as: amdin}", "unknown-name"),
        ("{get: /cards, save: $x}", "step"),
    ],
)
def test_a_wrong_step_is_an_error(reading, step: str, problem: str):
    text = "project: {name: T}\nroles: {admin: all}\nacceptance:\n  - name: a\n    steps:\n"
    first = "      - {get: /x, save: card}\n"
    found = reading(f"{text}{first}      - {step}\n")
    assert [one.code for one in found.errors] == [problem]
    assert found.errors[0].line == 7


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        ("{get: /card}", "Did you mean /cards?"),
        ("{get: /card?x=1}", "Did you mean /cards?"),
        ("{get: /card, expect: 404}", None),
        ("{get: /cards/1, expect: 404}", None),
        ("{get: /weather/today}", None),
        ("{get: /health}", None),
    ],
)
def test_a_call_that_nothing_answers_is_a_warning(reading, call: str, hint: str | None):
    text = "project: {name: T}\nentities: {Card: {title: text}}\nendpoints: {GET /weather: {}}\nacceptance:\n"
    found = reading(f"{text}  - {{name: a, steps: [{call}]}}\n")
    assert found.blueprint is not None
    assert [problem.suggestion for problem in found.problems] == ([hint] if hint else [])


def test_signing_in_without_roles_is_an_error(complaints):
    text = "acceptance:\n  - {name: a, steps: [{get: /x, as: admin}]}\n"
    assert complaints(text) == ["2:as"]


def test_without_a_role_that_may_do_all_every_step_names_one(complaints):
    text = "roles: {viewer: read}\nacceptance:\n  - {name: a, steps: [{get: /x}, {get: /x, as: viewer}]}\n"
    assert complaints(text) == ["3:as"]


def test_cases_have_names_of_their_own(complaints, blueprint):
    twice = "acceptance:\n  - {name: a, steps: [{get: /x}]}\n  - {name: a, steps: [{get: /x}]}\n"
    assert complaints(twice) == ["3:same-name"]
    assert complaints("acceptance:\n  - {name: a, steps: []}\n") == ["2:case"]
    found = blueprint("acceptance:\n  - {steps: [{get: /x}]}\n")
    assert found.acceptance[0].name == "case 1"
    assert found.assumptions


@pytest.mark.parametrize(
    ("step", "hint"),
    [
        ("{post: /cards, body: {titel: x}, expect: 201}", "Did you mean title?"),
        ("{post: /cards, body: {zzz: x}}", "Fields: id, created_at, updated_at, title."),
        ("{patch: /cards/1, body: {titel: x}}", "Did you mean title?"),
        ("{get: /cards/1, expect: {body: {titel: x}}}", "Did you mean title?"),
        ("{post: /cards, body: {title: x}, expect: {body: {id: any, title: x}}}", None),
        ("{post: /cards, body: {titel: x}, expect: 422}", None),
        ("{post: /cards/1/finish, body: {titel: x}}", None),
        ("{post: /notes, body: {titel: x}}", None),
        ("{post: /weather, body: {titel: x}}", None),
        ("{get: /cards, expect: {body: {items: []}}}", None),
        ("{get: /cards/summary, expect: {body: {total: 3}}}", None),
    ],
)
def test_a_key_that_the_entity_lacks_is_a_warning_where_a_success_is_expected(reading, step, hint):
    text = "project: {name: T}\nentities: {Card: {title: text}, Note: {title: text?}}\n"
    text += (
        "endpoints: {POST /notes: {creates: Note}, POST /weather: {}, GET /cards/summary: {}}\nacceptance:\n"
    )
    found = reading(f"{text}  - {{name: a, steps: [{step}]}}\n")
    assert found.blueprint is not None
    about = [problem for problem in found.problems if problem.code == "no-such-field"]
    assert [problem.suggestion for problem in about] == ([hint] if hint else [])
    assert all(
        problem.line == 5 and step[problem.column - 23 :].startswith(("titel", "zzz")) for problem in about
    )
