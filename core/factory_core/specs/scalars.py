"""What an unquoted value means: the core schema of YAML 1.2."""

from __future__ import annotations

import math
import re

from .tree import Plain

__all__ = ["LARGEST", "NumberTooLarge", "resolve"]

LARGEST = 2**63 - 1
WORDS: dict[str, Plain] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
NOT_FINITE = re.compile(r"[-+]?(\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN")
LONGEST_NUMBER = 40


class NumberTooLarge(ValueError):
    """A number that 64 bits or JSON cannot hold."""


def resolve(text: str) -> Plain:
    """The value of a plain scalar. Raises NumberTooLarge."""
    if text in WORDS:
        return WORDS[text]
    if NOT_FINITE.fullmatch(text):
        raise NumberTooLarge(text)
    if INTEGER.fullmatch(text):
        return resolve_integer(text)
    if FLOAT.fullmatch(text):
        return resolve_float(text)
    return text


def resolve_integer(text: str) -> int:
    """A 64-bit integer. Raises NumberTooLarge."""
    if len(text) > LONGEST_NUMBER:
        raise NumberTooLarge(text)
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    number = int(text[2:] if base != 10 else text, base)
    if not -LARGEST - 1 <= number <= LARGEST:
        raise NumberTooLarge(text)
    return number


def resolve_float(text: str) -> float:
    """A finite number. Raises NumberTooLarge."""
    number = float(text)
    if not math.isfinite(number):
        raise NumberTooLarge(text)
    return number
