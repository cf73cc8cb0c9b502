"""Sections that shape the build without being part of the product: technology, deliverables, what not to build."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .notes import Notes, quote
from .tree import Entry, Mapping, Scalar, Sequence, Tree

__all__ = ["deliverable_files", "find_blocks", "read_list", "read_technology", "sentences"]

FILE = re.compile(r"\.?[A-Za-z0-9_*-][\w*-]*(/[\w.*-]+)*\.[A-Za-z*][A-Za-z0-9*]{0,11}|\.[A-Za-z][\w.*/-]+")
BARE_FILES = frozenset(
    {"LICENSE", "CHANGELOG", "README", "Dockerfile", "Makefile", "CONTRIBUTING", "SECURITY"}
)


def find_blocks(tree: Tree, name: str, above: str = "") -> list[tuple[str, Tree]]:
    """Every value of that key at any depth, with the nearest key above it."""
    found: list[tuple[str, Tree]] = []
    if isinstance(tree, Mapping):
        for entry in tree.entries:
            if entry.key.text == name:
                found.append((above, entry.value))
            else:
                found += find_blocks(entry.value, name, entry.key.text)
    elif isinstance(tree, Sequence):
        for item in tree.items:
            found += find_blocks(item, name, above)
    return found


def read_technology(blocks: list[Tree], notes: Notes) -> dict[str, str]:
    """``name -> wanted version`` of every ``technology`` block; the first wish for a name counts."""
    found: dict[str, str] = {}
    for block in blocks:
        for entry in pairs(block):
            wish = version_of(entry)
            if found.setdefault(entry.key.text, wish) != wish:
                message = f"{quote(entry.key.text)} is wanted as {quote(wish)} too; the first wish counts."
                notes.warn("technology", message, entry.key)
            notes.claim(entry.value, f"technology:{entry.key.text}")
    return found


def pairs(tree: Tree) -> list[Entry]:
    """The entries of a map or of a list of maps; a bare name is an entry of its own."""
    if isinstance(tree, Mapping):
        return list(tree.entries)
    if isinstance(tree, Scalar):
        return [Entry(key=tree, value=tree)] if tree.text else []
    return [entry for item in tree.items for entry in pairs(item)]


def version_of(entry: Entry) -> str:
    """The version a technology line names; empty when it names none."""
    value = entry.value
    return value.text if isinstance(value, Scalar) and value is not entry.key else ""


def deliverable_files(tree: Tree | None) -> tuple[str, ...]:
    """The words of ``deliverables`` that are file names, in order."""
    found: dict[str, None] = {}
    for word in words_of(tree) if tree is not None else []:
        first = (word.split() or [""])[0].strip("\"'`,;")
        if FILE.fullmatch(first) or first in BARE_FILES:
            found[first] = None
    return tuple(found)


def words_of(tree: Tree) -> list[str]:
    """Every key and every leaf of a section as text."""
    if isinstance(tree, Mapping):
        return [word for entry in tree.entries for word in (entry.key.text, *words_of(entry.value))]
    if isinstance(tree, Sequence):
        return [word for item in tree.items for word in words_of(item)]
    return [tree.text]


def read_list(tree: Tree | None, part: str, notes: Notes) -> tuple[str, ...]:
    """Every leaf of a section as text."""
    if tree is None:
        return ()
    notes.claim(tree, part)
    return tuple(text for _, text in sentences(tree))


def sentences(tree: Tree, key: str = "", *, listed: bool = False) -> Iterator[tuple[Scalar, str]]:
    """The leaves of a section as text; one that is no sentence in a list is read with its key."""
    if isinstance(tree, Mapping):
        for entry in tree.entries:
            yield from sentences(entry.value, entry.key.text)
    elif isinstance(tree, Sequence):
        for item in tree.items:
            yield from sentences(item, key, listed=True)
    elif tree.text.strip():
        text = " ".join(tree.text.split())
        sentence = listed and " " in text
        yield tree, text if sentence or not key else f"{key}: {text}"
