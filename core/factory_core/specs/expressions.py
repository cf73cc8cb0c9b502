"""The language of ``rules[].check``: text to a tree, by operator precedence."""

from __future__ import annotations

import re

from msgspec import Struct

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

__all__ = ["NotInLanguage", "parse_expression"]

TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)(?![\w.])|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)"
    r"|(?P<sign><=|>=|!=|<>|==|[-+*/()<>=,\[\]]))"
)
LONGEST = 2_000
MOST_TOKENS = 200
DEEPEST = 40
SPELLINGS = {"==": "=", "<>": "!="}
COMPARISONS = frozenset({"=", "!=", "<", "<=", ">", ">="})
POWERS = {
    "or": 1,
    "and": 2,
    **dict.fromkeys((*COMPARISONS, "in", "is", "not"), 4),
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
}
NOT_POWER = 3
UNARY_POWER = 7
CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
KEYWORDS = frozenset({"and", "or", "not", "in", "is"})


class NotInLanguage(Exception):
    """The text says something the language has no words for."""


class Token(Struct, frozen=True):
    """A number, a text, a word or a sign; the last one is empty."""

    kind: str
    text: str


def parse_expression(text: str) -> Expression:
    """The tree of an expression. Raises NotInLanguage."""
    if len(text) > LONGEST:
        raise NotInLanguage("it is longer than 2,000 characters")
    parser = Parser(tokens_of(text))
    tree = parser.parse(0)
    if parser.here.kind:
        raise NotInLanguage(f"{parser.here.text!r} does not fit there")
    return tree


def tokens_of(text: str) -> list[Token]:
    """The words and signs of a text, with an empty one at the end. Raises NotInLanguage."""
    tokens: list[Token] = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        found = TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise NotInLanguage(f"{text[at : at + 20].strip()!r} cannot be read")
        word = found[found.lastgroup]
        lowered = word.lower()
        kind = "sign" if found.lastgroup == "word" and lowered in KEYWORDS else found.lastgroup
        tokens.append(Token(kind, lowered if kind == "sign" else word))
        at = found.end()
        if len(tokens) > MOST_TOKENS:
            raise NotInLanguage(f"it has more than {MOST_TOKENS} words and signs")
    return [*tokens, Token("", "")]


class Parser:
    """A Pratt parser: each operator binds what stands around it as tightly as its power."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0

    @property
    def here(self) -> Token:
        """The next token."""
        return self.tokens[self.at]

    def take(self) -> Token:
        """The next token, taken."""
        token = self.here
        self.at += 1
        return token

    def accept(self, sign: str) -> bool:
        """Take that sign if it comes next."""
        if self.here.kind == "sign" and self.here.text == sign:
            self.at += 1
            return True
        return False

    def expect(self, sign: str) -> None:
        """Take that sign. Raises NotInLanguage."""
        if not self.accept(sign):
            raise NotInLanguage(f"{sign!r} is missing before {self.here.text or 'the end'!r}")

    def parse(self, power: int) -> Expression:
        """Everything that binds tighter than ``power``."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise NotInLanguage("it nests too deeply")
        left = self.operand()
        while (bound := self.power()) > power:
            left = self.extend(left, bound)
            if bound == POWERS["="] and self.power() == bound:
                raise NotInLanguage("comparisons do not chain; join them with and")
        self.depth -= 1
        return left

    def power(self) -> int:
        """How tightly the next operator binds; 0 when there is none."""
        return POWERS.get(SPELLINGS.get(self.here.text, self.here.text), 0) if self.here.kind == "sign" else 0

    def operand(self) -> Expression:
        """A value, or a prefix with what it applies to."""
        token = self.take()
        if token.kind == "number":
            return number(token.text)
        if token.kind == "text":
            return Literal(token.text[1:-1])
        if token.kind == "word":
            return self.word(token.text)
        if token.text == "(":
            inner = self.parse(0)
            self.expect(")")
            return inner
        if token.text == "not":
            return Not(self.parse(NOT_POWER))
        if token.text == "-":
            return negative(self.parse(UNARY_POWER))
        raise NotInLanguage(f"a value is missing before {token.text or 'the end'!r}")

    def word(self, word: str) -> Expression:
        """A constant, a moment, ``len(…)`` or a name."""
        if word.lower() in CONSTANTS:
            return Literal(CONSTANTS[word.lower()])
        if word in ("today", "now"):
            return Moment(word)
        if self.here.kind == "sign" and self.here.text == "(":
            if word != "len":
                raise NotInLanguage(f"{word}() is unknown; the only function is len()")
            self.take()
            inner = self.parse(0)
            self.expect(")")
            return Length(inner)
        return Name(tuple(word.split(".")))

    def extend(self, left: Expression, bound: int) -> Expression:
        """The operator that comes next, applied to ``left`` and what follows."""
        sign = self.take().text
        if sign == "is":
            negated = self.accept("not")
            if self.here.text.lower() != "null":
                raise NotInLanguage("after is comes null or not null")
            self.take()
            return IsNull(left, negated)
        if sign == "not":
            self.expect("in")
            return Membership(left, self.choices(), negated=True)
        if sign == "in":
            return Membership(left, self.choices())
        return Binary(SPELLINGS.get(sign, sign), left, self.parse(bound))

    def choices(self) -> tuple[Expression, ...]:
        """``(a, b)`` or ``[a, b]``."""
        close = "]" if self.accept("[") else ")"
        if close == ")":
            self.expect("(")
        found = [self.parse(0)]
        while self.accept(","):
            found.append(self.parse(0))
        self.expect(close)
        return tuple(found)


def number(text: str) -> Literal:
    """An integer, or a decimal kept as text. Raises NotInLanguage."""
    if len(text) > 38:
        raise NotInLanguage("a number is too long")
    if "." in text:
        return Literal(text, decimal=True)
    if int(text) > 2**63 - 1:
        raise NotInLanguage("a number is larger than 64 bits")
    return Literal(int(text))


def negative(operand: Expression) -> Expression:
    """``-x``: a negative literal, or zero minus it."""
    if isinstance(operand, Literal) and operand.decimal:
        return Literal(f"-{operand.value}", decimal=True)
    if isinstance(operand, Literal) and type(operand.value) is int:
        return Literal(-operand.value)
    return Binary("-", Literal(0), operand)
