"""``{status: enum(a, b)}``: YAML ends the value at the comma; this finds such pieces and says so."""

from __future__ import annotations

from msgspec.structs import replace

from .notes import Notes, quote
from .tree import Scalar, Tree

__all__ = ["rejoin"]

Pair = tuple[Scalar, Tree]


def rejoin(pairs: list[Pair], notes: Notes) -> list[Pair]:
    """The pairs of a ``{…}`` map with broken types put together again, each with an error."""
    whole: list[Pair] = []
    at = 0
    while at < len(pairs):
        key, value = pairs[at]
        at += 1
        if isinstance(value, Scalar) and opens(value):
            end = closing(pairs, at, value.text)
            if end:
                text = ", ".join([value.text, *(piece.text for piece, _ in pairs[at:end])])
                notes.error(
                    "split-type",
                    f"YAML ends the value of {quote(key.text)} at the comma inside the parentheses.",
                    value,
                    f'Quote it: {key.text}: "{text}"',
                )
                value = replace(value, text=text, value=text)
                at = end
        whole.append((key, value))
    return whole


def opens(value: Scalar) -> bool:
    """Whether a value has a parenthesis that it does not close."""
    return not value.quoted and value.text.count("(") > value.text.count(")")


def closing(pairs: list[Pair], at: int, text: str) -> int:
    """The index after the piece that closes the parenthesis, or 0."""
    open_ = text.count("(") - text.count(")")
    for index in range(at, len(pairs)):
        key, value = pairs[index]
        bare = isinstance(value, Scalar) and value.text == "" and not value.quoted
        if not bare or key.quoted:
            return 0
        open_ += key.text.count("(") - key.text.count(")")
        if open_ <= 0:
            return index + 1
    return 0
