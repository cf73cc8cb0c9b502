"""Rules compiled to Python break exactly when the interpreter calls them false."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_core.contracts.blueprint import Blueprint, Entity, Field, FieldKind, Project, Rule
from factory_core.contracts.expressions import (
    Binary,
    Expression,
    IsNull,
    Length,
    Literal,
    Membership,
    Moment,
    Name,
    Not,
)
from factory_plugin_agents.meaning import meaning
from factory_plugin_agents.rules import rule_code

NOW = datetime(2030, 6, 1, 12, tzinfo=UTC)
BOARD = Entity(name="Board", path="/boards", fields=(Field(name="open", kind=FieldKind.BOOL, optional=True),))
CARD = Entity(
    name="Card",
    path="/cards",
    fields=(
        Field(name="count", kind=FieldKind.INT, optional=True),
        Field(name="size", kind=FieldKind.INT),
        Field(name="price", kind=FieldKind.DECIMAL, precision=10, scale=2, optional=True),
        Field(name="ratio", kind=FieldKind.FLOAT, optional=True),
        Field(name="word", kind=FieldKind.TEXT, optional=True),
        Field(name="done", kind=FieldKind.BOOL, optional=True),
        Field(name="due", kind=FieldKind.DATE, optional=True),
        Field(name="class", kind=FieldKind.DATETIME, optional=True),
        Field(name="board", kind=FieldKind.REFERENCE, target="Board", optional=True),
    ),
)

numbers = st.recursive(
    st.sampled_from(
        [Name(("count",)), Name(("size",)), Name(("price",)), Name(("ratio",)), Length(Name(("word",)))]
    )
    | st.integers(-3, 3).map(Literal)
    | st.sampled_from(["0.5", "-1.25", "2.00"]).map(lambda text: Literal(text, decimal=True)),
    lambda inner: st.builds(Binary, st.sampled_from("+-*/"), inner, inner),
    max_leaves=4,
)
comparisons = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
equalities = st.sampled_from(["=", "!="])
words = st.sampled_from([Name(("word",)), Literal("a"), Literal("b"), Literal(None)])
days = st.sampled_from([Name(("due",)), Name(("class",)), Moment("today"), Literal(None)])
flags = st.sampled_from([Name(("done",)), Name(("board", "open"))])
atoms = (
    st.builds(Binary, comparisons, numbers, numbers)
    | st.builds(Binary, comparisons, st.just(Name(("word",))), words)
    | st.builds(Binary, comparisons, days, st.just(Moment("today")))
    | st.builds(Binary, equalities, flags, st.sampled_from([Literal(True), Literal(False), Name(("done",))]))
    | flags
    | st.builds(IsNull, st.one_of(numbers, words, days, flags), st.booleans())
    | st.builds(
        Membership,
        st.just(Name(("word",))),
        st.lists(words, min_size=1, max_size=3).map(tuple),
        st.booleans(),
    )
    | st.builds(Membership, numbers, st.lists(numbers, min_size=1, max_size=3).map(tuple), st.booleans())
)
conditions: st.SearchStrategy[Expression] = st.recursive(
    atoms,
    lambda inner: st.builds(Not, inner) | st.builds(Binary, st.sampled_from(["and", "or"]), inner, inner),
    max_leaves=6,
)
rows = st.fixed_dictionaries(
    {
        ("count",): st.none() | st.integers(-3, 3),
        ("size",): st.integers(-3, 3),
        ("price",): st.none() | st.sampled_from(["0.00", "0.50", "-1.25", "2.00"]).map(Decimal),
        ("ratio",): st.none() | st.sampled_from([0.1, 0.5, -1.25]),
        ("word",): st.none() | st.sampled_from(["", "a", "b"]),
        ("done",): st.none() | st.booleans(),
        ("due",): st.none() | st.sampled_from([date(2030, 5, 31), date(2030, 6, 1), date(2030, 6, 2)]),
        ("class",): st.none() | st.sampled_from([NOW, datetime(2030, 5, 1, tzinfo=UTC)]),
        ("board", "open"): st.none() | st.booleans(),
    }
)


def breaks(check: Expression, row: dict[tuple[str, ...], Any], *, with_board: bool) -> bool:
    """Whether the generated condition holds."""
    rule = Rule(entity="Card", check=check, text="", message="no")
    blueprint = Blueprint(project=Project(name="x", slug="x"), entities=(BOARD, CARD), rules=(rule,))
    compiled = rule_code(blueprint, CARD, "card")
    assert not compiled.refused
    values = {name[0]: value for name, value in row.items() if len(name) == 1}
    card = SimpleNamespace(**values, class_=values["class"])
    scope = {
        "card": card,
        "board": SimpleNamespace(open=row["board", "open"]) if with_board else None,
        "Decimal": Decimal,
        "UUID": UUID,
        "date": date,
        "datetime": datetime,
        "today": NOW.date,
        "utc_now": lambda: NOW,
    }
    return bool(eval(compiled.broken[0].condition, scope))


@settings(max_examples=1500, deadline=None)
@given(conditions, rows, st.booleans())
def test_the_code_and_the_interpreter_agree(
    check: Expression, row: dict[tuple[str, ...], Any], with_board: bool
) -> None:
    if not with_board:
        row = row | {("board", "open"): None}
    assert breaks(check, row, with_board=with_board) is (meaning(check, row, NOW) is False)


@pytest.mark.parametrize(
    ("check", "condition"),
    [
        (Binary(">=", Name(("price",)), Literal(0)), "card.price is not None and card.price < 0"),
        (Binary(">", Name(("size",)), Literal(0)), "card.size <= 0"),
        (Membership(Name(("size",)), (Literal(1), Literal(2))), "card.size not in (1, 2)"),
        (Binary("=", Name(("done",)), Literal(True)), "card.done is not None and not card.done"),
        (Binary("<", Name(("size",)), Literal(None)), "False"),
        (
            Binary("<=", Name(("price",)), Name(("count",))),
            "card.price is not None and card.count is not None and card.price > card.count",
        ),
    ],
)
def test_conditions_read_like_hand_written_ones(check: Expression, condition: str) -> None:
    rule = Rule(entity="Card", check=check, text="", message="no")
    blueprint = Blueprint(project=Project(name="x", slug="x"), entities=(BOARD, CARD), rules=(rule,))
    assert rule_code(blueprint, CARD, "card").broken[0].condition == condition


def test_what_cannot_be_compiled_is_named() -> None:
    rule = Rule(entity="Card", check=Binary("<", Name(("word",)), Literal(1)), text="word < 1", message="no")
    blueprint = Blueprint(project=Project(name="x", slug="x"), entities=(BOARD, CARD), rules=(rule,))
    assert rule_code(blueprint, CARD, "card").refused == ("word < 1",)
