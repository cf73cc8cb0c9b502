"""The language of rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from factory_core.specs.expressions import NotInLanguage, parse_expression


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("estimate >= 0", Binary(">=", Name(("estimate",)), Literal(0))),
        ("a == 1", Binary("=", Name(("a",)), Literal(1))),
        ("a <> 1.50", Binary("!=", Name(("a",)), Literal("1.50", decimal=True))),
        ("a = -1", Binary("=", Name(("a",)), Literal(-1))),
        ("-a < 0", Binary("<", Binary("-", Literal(0), Name(("a",))), Literal(0))),
        ("a + b * 2 > 1", Binary(">", Binary("+", Name(("a",)), Binary("*", Name(("b",)), Literal(2))), Literal(1))),
        ("a - b - c = 0", Binary("=", Binary("-", Binary("-", Name(("a",)), Name(("b",))), Name(("c",))), Literal(0))),
        ("x is null", IsNull(Name(("x",)))),
        ("x is not null", IsNull(Name(("x",)), negated=True)),
        ("board.archived = false", Binary("=", Name(("board", "archived")), Literal(False))),
        ("s in ('a', \"b\")", Membership(Name(("s",)), (Literal("a"), Literal("b")))),
        ("s not in [1]", Membership(Name(("s",)), (Literal(1),), negated=True)),
        ("not a = 1", Not(Binary("=", Name(("a",)), Literal(1)))),
        ("due >= today", Binary(">=", Name(("due",)), Moment("today"))),
        ("len(title) > 3", Binary(">", Length(Name(("title",))), Literal(3))),
        (
            "a = 1 or b = 2 and not c = 3",
            Binary(
                "or",
                Binary("=", Name(("a",)), Literal(1)),
                Binary("and", Binary("=", Name(("b",)), Literal(2)), Not(Binary("=", Name(("c",)), Literal(3)))),
            ),
        ),
        ("(a or b) and c", Binary("and", Binary("or", Name(("a",)), Name(("b",))), Name(("c",)))),
    ],
)  # fmt: skip
def test_an_expression_has_the_tree_one_expects(text: str, tree: Expression):
    assert parse_expression(text) == tree


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a >",
        "a b",
        "(a",
        "a)",
        "sum(a) > 1",
        "len a",
        "a is 3",
        "0 < a < 5",
        "a = 'open",
        "every card has a board",
        "a; drop table",
        "a ** 2 = 4",
        "a = 1e5",
        "a.b.",
        "(" * 100 + "a" + ")" * 100,
        "not " * 100 + "a",
        "a = " + "1+" * 300 + "1",
        "a = " + "9" * 50,
        "a = 9223372036854775808",
        "x" * 3000,
    ],
)
def test_what_the_language_has_no_words_for_is_refused(text: str):
    with pytest.raises(NotInLanguage):
        parse_expression(text)


WORDS = ("a", "b", "count", "board.name")
VALUES = st.one_of(
    st.integers(-(10**6), 10**6).map(Literal),
    st.booleans().map(Literal),
    st.just(Literal(None)),
    st.from_regex(r"[a-z ]{0,8}", fullmatch=True).map(Literal),
    st.from_regex(r"[0-9]{1,5}\.[0-9]{1,4}", fullmatch=True).map(lambda text: Literal(text, decimal=True)),
    st.sampled_from(WORDS).map(lambda word: Name(tuple(word.split(".")))),
    st.sampled_from(("today", "now")).map(Moment),
)


def grow(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    operators = st.sampled_from(("and", "or", "=", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/"))
    return st.one_of(
        st.builds(Binary, operators, inner, inner),
        st.builds(Not, inner),
        st.builds(IsNull, inner, st.booleans()),
        st.builds(Length, inner),
        st.builds(Membership, inner, st.lists(inner, min_size=1, max_size=3).map(tuple), st.booleans()),
    )


def spelled(tree: Expression) -> str:
    """The tree as text, every operation in parentheses."""
    if isinstance(tree, Literal):
        if tree.value is None or isinstance(tree.value, bool):
            return str(tree.value).lower().replace("none", "null")
        return f"'{tree.value}'" if isinstance(tree.value, str) and not tree.decimal else str(tree.value)
    return operation(tree)


def operation(tree: Expression) -> str:
    match tree:
        case Name(parts=parts):
            return ".".join(parts)
        case Moment(word=word):
            return word
        case Length(of=of):
            return f"len({spelled(of)})"
        case Not(operand=operand):
            return f"(not ({spelled(operand)}))"
        case IsNull(operand=operand, negated=negated):
            return f"(({spelled(operand)}) is {'not ' if negated else ''}null)"
        case Membership(operand=operand, choices=choices, negated=negated):
            listed = ", ".join(map(spelled, choices))
            return f"(({spelled(operand)}) {'not ' if negated else ''}in ({listed}))"
        case Binary(operator=operator, left=left, right=right):
            return f"(({spelled(left)}) {operator} ({spelled(right)}))"
    raise AssertionError(tree)


@given(st.recursive(VALUES, grow, max_leaves=8))
def test_every_tree_is_read_back_from_its_text(tree: Expression):
    assert parse_expression(spelled(tree)) == tree


@given(st.text(max_size=60))
def test_any_text_is_a_tree_or_refused(text: str):
    try:
        tree = parse_expression(text)
    except NotInLanguage:
        return
    assert parse_expression(spelled(tree)) == tree


ENTITIES = """
    entities:
      Board: {title: text, archived: bool = false, opened_on: date?, limit_km: int = 5}
      Card:
        board: Board
        title: text
        pin: text secret
        status: enum(todo, done) = todo
        due: date?
        starts: datetime?
        estimate: decimal(10,2)?
        tags: list text
        boards: many Board
        data: json?
    rules:
"""


@pytest.mark.parametrize(
    "check",
    [
        "estimate >= 0.5",
        "estimate * 2 + 1 <= board.limit_km",
        "status = done or due is not null",
        "status in (todo, done)",
        "'done' != status",
        "due >= today and starts > now",
        "due >= '2026-01-01'",
        "due <= board.opened_on",
        "created_at <= now",
        "board.created_at <= updated_at",
        "len(tags) < 5 and len(title) > 0 and len(boards) <= 3",
        "not board.archived",
        "board.archived",
        "estimate = null",
        "data is null",
        "board is not null",
    ],
)
def test_a_rule_that_makes_sense_is_kept(blueprint, check: str):
    found = blueprint(f'{ENTITIES}      - {{entity: Card, check: "{check}", message: No.}}\n')
    assert [rule.text for rule in found.rules] == [check]
    assert all(node.part for node in found.nodes)


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        ("estimat >= 0", "Did you mean estimate?"),
        ("board.titel = 'x'", "is no field"),
        ("board.board.title = 'x'", "is no field"),
        ("title >= 0", "do not compare"),
        ("status = open", "is no field"),
        ("status = 'opened'", "not a word of status"),
        ("due > now", "do not compare"),
        ("due > 'soon'", "is no date"),
        ("archived", "is no field"),
        ("estimate + 1", "not a condition"),
        ("title + title = 'x'", "numbers only"),
        ("pin = '1234'", "is secret"),
        ("board > 3", "do not compare"),
        ("board.archived > false", "has no order"),
        ("tags = tags", "does not compare"),
        ("len(estimate) > 1", "counts text and lists"),
        ("not title", "join conditions"),
        ("title and due is null", "join conditions"),
        ("nobody may finish two cards", "does not fit"),
    ],
)
def test_a_rule_that_makes_no_sense_is_not_understood_and_no_error(reading, check: str, reason: str):
    text = f"project: {{name: T}}{ENTITIES.replace(chr(10) + '    ', chr(10))}"
    found = reading(f'{text}  - {{entity: Card, check: "{check}", message: No.}}\n')
    assert found.blueprint is not None
    (problem,) = found.problems
    assert problem.code == "not-understood"
    assert reason in problem.message
    assert found.blueprint.rules == ()
    lost = [node.path for node in found.blueprint.nodes if not node.part]
    assert lost == [f"rules[0].{key}" for key in ("entity", "check", "message")]


def test_a_bare_word_of_an_enum_is_its_text(blueprint):
    found = blueprint(f'{ENTITIES}      - {{entity: Card, check: "status in (todo)", message: No.}}\n')
    assert found.rules[0].check == Membership(Name(("status",)), (Literal("todo"),))
