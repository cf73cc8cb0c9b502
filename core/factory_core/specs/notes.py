"""What the reader writes down on its way: problems, assumptions, and which part of the document became what."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice

from factory_core.contracts.blueprint import Assumption

from .problems import Problem, Severity
from .tree import Entry, Mapping, Scalar, Tree, leaves

__all__ = ["Notes", "TooManyProblems", "nearest", "quote"]

MOST_PROBLEMS = 200
MOST_COMPARED = 300
TOO_MANY = Problem(
    severity=Severity.ERROR,
    code="too-many-problems",
    message=f"There are more than {MOST_PROBLEMS} problems; the others are not shown.",
    line=1,
    column=1,
)


class TooManyProblems(Exception):
    """Reading on would only add to a list nobody reads to its end."""


class Notes:
    """Collects, in the order found, and never twice the same."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.assumptions: list[Assumption] = []
        self.parts: dict[str, str] = {}
        """``path -> part`` of every leaf something was made of."""

    @property
    def failed(self) -> bool:
        """Whether an error was found."""
        return any(problem.severity is Severity.ERROR for problem in self.problems)

    def error(self, code: str, message: str, at: Tree | tuple[int, int], suggestion: str = "") -> None:
        """Something that stops the build."""
        self.report(Severity.ERROR, code, message, at, suggestion)

    def warn(self, code: str, message: str, at: Tree | tuple[int, int], suggestion: str = "") -> None:
        """Something the user should look at."""
        self.report(Severity.WARNING, code, message, at, suggestion)

    def report(
        self, severity: Severity, code: str, message: str, at: Tree | tuple[int, int], suggestion: str
    ) -> None:
        """Add a problem. Raises TooManyProblems when the document is not worth reading on."""
        line, column = at if isinstance(at, tuple) else (at.line, at.column)
        problem = Problem(
            severity=severity,
            code=code,
            message=shorten(message),
            line=line,
            column=column,
            suggestion=shorten(suggestion),
        )
        if problem in self.problems:
            return
        if len(self.problems) >= MOST_PROBLEMS:
            self.problems.append(TOO_MANY)
            raise TooManyProblems
        self.problems.append(problem)

    def assume(self, text: str, at: Tree) -> None:
        """Something the reader filled in."""
        self.assumptions.append(Assumption(text=text, path=at.path, line=at.line))

    def claim(self, tree: Tree, part: str) -> None:
        """Everything below ``tree`` that has no part yet became ``part``."""
        for leaf in leaves(tree):
            self.parts.setdefault(leaf.path, part)

    def claim_keys(self, tree: Mapping, keys: Iterable[str], part: str) -> None:
        """Everything below these keys became ``part``; what stands below other keys did not."""
        for key in keys:
            value = tree.get(key)
            if value is not None:
                self.claim(value, part)

    def unknown(
        self, entry: Entry, known: Iterable[str], where: str, fate: str = "it is kept as not understood"
    ) -> None:
        """Warn of a key that means nothing here, and of what becomes of it."""
        known = sorted(known)
        self.warn(
            "unknown-key",
            f"{quote(entry.key.text)} means nothing in {where}; {fate}.",
            entry.key,
            nearest(entry.key.text, known) or f"Known here: {', '.join(known)}.",
        )

    def keys(self, tree: Mapping, known: Iterable[str], where: str) -> bool:
        """Warn of every key that is not known; whether all are."""
        known = set(known)
        strange = [entry for entry in tree.entries if entry.key.text not in known]
        for entry in strange:
            self.unknown(entry, known, where)
        return not strange

    def text(self, tree: Tree | None, what: str) -> str | None:
        """The text of a scalar; an error when it is something else, None when it is missing or null."""
        if tree is None or (isinstance(tree, Scalar) and tree.value is None):
            return None
        if isinstance(tree, Scalar):
            return tree.text
        self.error("shape", f"{what} must be a single value.", tree)
        return None

    def mapping(self, tree: Tree | None, what: str) -> Mapping | None:
        """The map; an error when it is something else, None when it is missing or null."""
        if tree is None or isinstance(tree, Mapping):
            return tree
        if not (isinstance(tree, Scalar) and tree.value is None):
            self.error("shape", f"{what} must be a map of keys and values.", tree)
        return None

    def items(self, tree: Tree | None, what: str) -> tuple[Tree, ...]:
        """The items of a list; a single value counts as a list of one."""
        if tree is None or (isinstance(tree, Scalar) and tree.value is None):
            return ()
        if isinstance(tree, Scalar):
            return (tree,)
        if isinstance(tree, Mapping):
            self.error("shape", f"{what} must be a list.", tree)
            return ()
        return tree.items

    def words(self, tree: Tree | None, what: str) -> tuple[Scalar, ...]:
        """The scalars of a list of single values."""
        found: list[Scalar] = []
        for item in self.items(tree, what):
            if isinstance(item, Scalar):
                found.append(item)
            else:
                self.error("shape", f"{what} must hold single values only.", item)
        return tuple(found)


def nearest(word: str, known: Iterable[str]) -> str:
    """``Did you mean …?`` for the closest known word, or nothing."""
    pairs = {name.lower(): name for name in islice(known, MOST_COMPARED)}
    close = difflib.get_close_matches(word[:80].lower(), pairs, n=1, cutoff=0.6)
    return f"Did you mean {pairs[close[0]]}?" if close else ""


def quote(text: str) -> str:
    """A word of the user's, short enough for a message."""
    shown = " ".join(text.split())
    return f'"{shown[:57]}…"' if len(shown) > 58 else f'"{shown}"'


def shorten(text: str) -> str:
    """No message grows with its input."""
    return text if len(text) <= 400 else f"{text[:399]}…"
