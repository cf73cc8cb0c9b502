"""Names: what is allowed, when two are the same, and how they become paths."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterable

from .notes import Notes, nearest, quote
from .tree import Scalar

__all__ = [
    "BUILT_IN",
    "LONGEST_NAME",
    "RESERVED_PATHS",
    "Catalogue",
    "check_known",
    "check_name",
    "kebab",
    "normal",
    "path_of",
    "plural",
    "slug_of",
]

BUILT_IN = ("id", "created_at", "updated_at")
RESERVED_PATHS = ("health", "auth", "openapi.json", "docs", "app")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_ -]*")
LONGEST_NAME = 60
BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[_\s-]+")
IRREGULAR = {
    "person": "people",
    "child": "children",
    "man": "men",
    "woman": "women",
    "foot": "feet",
    "tooth": "teeth",
    "mouse": "mice",
    "goose": "geese",
    "datum": "data",
    "medium": "media",
    "criterion": "criteria",
    "hero": "heroes",
    "potato": "potatoes",
    "tomato": "tomatoes",
    "wolf": "wolves",
    "half": "halves",
    "shelf": "shelves",
    "leaf": "leaves",
    "knife": "knives",
    "life": "lives",
    "wife": "wives",
    "quiz": "quizzes",
}
UNCHANGED = frozenset(
    {*IRREGULAR.values(), "sheep", "fish", "equipment", "information", "staff", "metadata", "aircraft"}
)


class Catalogue:
    """The names of all entities, for looking one up exactly or in another spelling."""

    def __init__(self, names: Iterable[str]) -> None:
        self.exact = dict.fromkeys(names)
        self.normal = {normal(name): name for name in self.exact}

    def called(self, word: str) -> str | None:
        """The entity that a word means, in the singular or the plural, in any spelling."""
        return self.normal.get(normal(word)) or self.normal.get(normal(plural(word.lower())))


def words(name: str) -> list[str]:
    """The words of a name in any spelling, lower-case: ``OrderLine`` and ``order_line`` have the same."""
    return [word.lower() for word in BOUNDARY.split(name) if word]


def kebab(name: str) -> str:
    """``order-line``."""
    return "-".join(words(name))


def normal(name: str) -> str:
    """What two names that count as one have in common."""
    return "".join(words(name))


def plural(word: str) -> str:
    """The plural of a lower-case word; a plural stays."""
    if word in UNCHANGED:
        return word
    if word in IRREGULAR:
        return IRREGULAR[word]
    if word.endswith("sis"):
        return f"{word[:-2]}es"
    if word.endswith(("ss", "us", "is", "x", "z", "ch", "sh")) or word in {"gas", "canvas", "atlas"}:
        return f"{word}es"
    if word.endswith("s"):
        return word
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}s"


def path_of(name: str) -> str:
    """The collection's path: ``/order-lines``."""
    parts = words(name)
    return "/" + "-".join([*parts[:-1], plural(parts[-1])])


def slug_of(name: str) -> str:
    """ASCII kebab-case of a product's name, or ``project-`` and eight hex digits when nothing of it is ASCII."""
    folded = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", folded.lower()).strip("-")[:60].strip("-")
    return slug or f"project-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def check_name(key: Scalar, what: str, notes: Notes, taken: dict[str, Scalar]) -> bool:
    """Whether a name is allowed and new among its neighbours; notes an error when it is not."""
    name = key.text
    if not NAME.fullmatch(name) or name.endswith((" ", "-")) or len(name) > LONGEST_NAME:
        notes.error(
            "name",
            f"{quote(name)} cannot name {what}.",
            key,
            "A name begins with a letter and holds letters, digits, _, - and spaces; "
            f"at most {LONGEST_NAME} characters.",
        )
        return False
    first = taken.setdefault(normal(name), key)
    if first is not key:
        alike = (
            "is used twice"
            if first.text == name
            else f"and {quote(first.text)} are the same name to a program"
        )
        notes.error("same-name", f"{quote(name)} {alike}; see line {first.line}.", key, "Rename one of them.")
        return False
    return True


def check_known(word: Scalar, known: Collection[str], what: str, notes: Notes) -> bool:
    """Whether a word names something that exists; notes an error with the nearest when it does not."""
    if word.text in known:
        return True
    listed = f"Known: {', '.join(sorted(known)[:12])}." if known else ""
    notes.error(
        "unknown-name", f"{quote(word.text)} is not {what}.", word, nearest(word.text, known) or listed
    )
    return False
