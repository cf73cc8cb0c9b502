"""Names that are safe in ids, paths and pictures."""

from __future__ import annotations

import re

__all__ = ["Names", "segments", "slug", "words"]

_STEP = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|\[\d+\]|([^.\[\]"#]+)|(#)')
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def slug(text: str, *, keep_case: bool = False) -> str:
    """ASCII letters, digits and single hyphens; ``unnamed`` when nothing else is left."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")
    return (plain if keep_case else plain.lower()) or "unnamed"


def words(*texts: str) -> frozenset[str]:
    """The lower-case words of names in any spelling, plural forms as singular."""
    return frozenset(_singular(word.lower()) for text in texts for word in _WORD.findall(text))


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-1] if len(word) > 3 and word.endswith("s") else word


def segments(path: str) -> tuple[str, ...]:
    """The keys of a spec path such as ``a.b[0]["c.d"]``, list positions and hint marks left out."""
    keys: list[str] = []
    for quoted, simple, mark in _STEP.findall(path):
        if mark:
            break
        if quoted or simple:
            keys.append(quoted or simple)
    return tuple(keys)


class Names:
    """Hands out each name once; who comes second gets ``-2``."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, wanted: str) -> str:
        """The wanted name, or the first free one with a number behind it."""
        name, number = wanted, 1
        while name in self._taken:
            number += 1
            name = f"{wanted}-{number}"
        self._taken.add(name)
        return name
