"""Requirements: the sentences an owner can check off."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from factory_core.contracts.blueprint import Requirement

from .extras import sentences
from .notes import Notes, nearest, quote
from .tree import Entry, Mapping, Scalar, Sequence, Tree

__all__ = ["check_links", "id_of", "read_leaves", "read_requirements"]

ID = re.compile(r"R-[A-Za-z0-9._-]+|[A-Z][A-Za-z]*-?[0-9][A-Za-z0-9._-]*|[A-Z][A-Za-z]*(-[A-Za-z0-9._]+)+")
KEYS = ("text", "by")


def id_of(text: str) -> str:
    """The id of a requirement without one: it stays when only white space changes."""
    normal = " ".join(unicodedata.normalize("NFC", text).split())
    return f"R-{hashlib.sha256(normal.encode()).hexdigest()[:8]}"


def read_requirements(tree: Tree | None, notes: Notes) -> list[Requirement]:
    """``requirements``: a list of texts and of ``id: text``, or a map of the latter."""
    found: list[Requirement] = []
    if isinstance(tree, Mapping):
        for entry in tree.entries:
            found += read_entry(entry, notes)
        return unique(found, tree, notes)
    for item in notes.items(tree, "requirements"):
        if isinstance(item, Mapping):
            for entry in item.entries:
                found += read_entry(entry, notes)
        elif isinstance(item, Scalar) and item.text.strip():
            found.append(made(id_of(item.text), item.text, item.line, item, notes))
        else:
            notes.error(
                "shape", "A requirement is a sentence.", item, "For example: R-1: A card has a board."
            )
    return unique(found, tree, notes) if tree is not None else found


def read_entry(entry: Entry, notes: Notes) -> list[Requirement]:
    """``R-1: text``, ``R-1: {text: …, by: […]}``, or a sentence that happens to hold a colon."""
    key, value = entry.key, entry.value
    if isinstance(value, Sequence):
        notes.error(
            "shape", f"The requirement {quote(key.text)} needs a text.", value, "R-1: A card has a board."
        )
        return []
    if not ID.fullmatch(key.text):
        if isinstance(value, Mapping):
            notes.error(
                "requirement", f"{quote(key.text)} is no id of a requirement.", key, "Such as R-1 or REQ-7."
            )
            return []
        text = f"{key.text}: {value.text}"
        return [made(id_of(text), text, key.line, value, notes)]
    if isinstance(value, Scalar):
        return [made(key.text, value.text, key.line, value, notes)]
    notes.keys(value, KEYS, "a requirement")
    text = notes.text(value.get("text"), "text") or ""
    if not text:
        notes.error("requirement", f"The requirement {quote(key.text)} needs a text.", key)
    by = tuple(word.text for word in notes.words(value.get("by"), "by"))
    notes.claim_keys(value, KEYS, f"requirement:{key.text}")
    return [Requirement(id=key.text, text=text, by=by, line=key.line)]


def made(name: str, text: str, line: int, tree: Tree, notes: Notes) -> Requirement:
    """A requirement that is nothing but its text."""
    notes.claim(tree, f"requirement:{name}")
    return Requirement(id=name, text=" ".join(text.split()), line=line)


def unique(found: list[Requirement], tree: Tree, notes: Notes) -> list[Requirement]:
    """Every id once; the same id with another text is an error."""
    known: dict[str, Requirement] = {}
    for requirement in found:
        first = known.setdefault(requirement.id, requirement)
        if first.text != requirement.text:
            message = (
                f"{requirement.id} stands for different texts on lines {first.line} and {requirement.line}."
            )
            notes.error(
                "same-requirement", message, (requirement.line, tree.column), "Give one of them another id."
            )
    return list(known.values())


def read_leaves(tree: Tree, notes: Notes) -> list[Requirement]:
    """Every leaf of a section of the seed's dialect."""
    return [made(id_of(text), text, leaf.line, leaf, notes) for leaf, text in sentences(tree)]


def check_links(requirements: list[Requirement], known: set[str], tree: Tree | None, notes: Notes) -> None:
    """Note an error for every ``by`` that names nothing of the product."""
    column = tree.column if tree is not None else 1
    for requirement in requirements:
        for name in requirement.by:
            if name not in known:
                message = (
                    f"{requirement.id} is said to be done by {quote(name)}, which is nothing of this product."
                )
                notes.error("unknown-name", message, (requirement.line, column), nearest(name, known))
