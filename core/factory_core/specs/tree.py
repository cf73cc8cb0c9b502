"""The document as a tree of nodes that know where they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

__all__ = [
    "Entry",
    "Mapping",
    "Plain",
    "Scalar",
    "Sequence",
    "Tree",
    "leaves",
    "place",
    "plain",
    "same",
    "walk",
]

Plain = str | int | float | bool | None
SIMPLE_KEY = re.compile(r'[^.\[\]"#]+\Z')


class Scalar(Struct, frozen=True, kw_only=True):
    """A single value: its spelling and what YAML 1.2 makes of it."""

    text: str
    value: Plain
    quoted: bool
    line: int
    column: int
    path: str = ""


class Sequence(Struct, frozen=True, kw_only=True):
    """A list."""

    items: tuple[Tree, ...]
    line: int
    column: int
    flow: bool = False
    path: str = ""


class Entry(Struct, frozen=True, kw_only=True):
    """A key with its value. ``also`` are the lines of equal keys that were merged into it."""

    key: Scalar
    value: Tree
    also: tuple[int, ...] = ()


class Mapping(Struct, frozen=True, kw_only=True):
    """Keys with values, in the document's order, keys unique."""

    entries: tuple[Entry, ...]
    line: int
    column: int
    flow: bool = False
    path: str = ""

    def get(self, *names: str) -> Tree | None:
        """The value of the first of these keys that is there."""
        for name in names:
            for entry in self.entries:
                if entry.key.text == name:
                    return entry.value
        return None


Tree = Scalar | Sequence | Mapping


def same(one: Tree, other: Tree) -> bool:
    """Whether two trees say the same, wherever they stand and however they are spelled."""
    if isinstance(one, Scalar) and isinstance(other, Scalar):
        return type(one.value) is type(other.value) and one.value == other.value
    if isinstance(one, Sequence) and isinstance(other, Sequence):
        return len(one.items) == len(other.items) and all(map(same, one.items, other.items))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        rest = {entry.key.text: entry.value for entry in other.entries}
        return len(one.entries) == len(rest) and all(
            entry.key.text in rest and same(entry.value, rest[entry.key.text]) for entry in one.entries
        )
    return False


def place(tree: Tree, path: str = "") -> Tree:
    """The same tree with every node's path filled in."""
    if isinstance(tree, Scalar):
        return replace(tree, path=path)
    if isinstance(tree, Sequence):
        items = tuple(place(item, f"{path}[{index}]") for index, item in enumerate(tree.items))
        return replace(tree, items=items, path=path)
    entries = tuple(
        replace(entry, key=replace(entry.key, path=step), value=place(entry.value, step))
        for entry in tree.entries
        for step in [join(path, entry.key.text)]
    )
    return replace(tree, entries=entries, path=path)


def join(path: str, key: str) -> str:
    """``a.b``, or ``a["b.c"]`` for a key that would be ambiguous."""
    if not SIMPLE_KEY.match(key):
        quoted = key.replace("\\", "\\\\").replace('"', '\\"')
        return f'{path}["{quoted}"]'
    return f"{path}.{key}" if path else key


def walk(tree: Tree) -> Iterator[Tree]:
    """Every node, containers before what they hold."""
    yield tree
    if isinstance(tree, Sequence):
        for item in tree.items:
            yield from walk(item)
    elif isinstance(tree, Mapping):
        for entry in tree.entries:
            yield from walk(entry.value)


def leaves(tree: Tree) -> Iterator[Tree]:
    """Every scalar and every empty container."""
    for node in walk(tree):
        if (
            isinstance(node, Scalar)
            or (isinstance(node, Sequence) and not node.items)
            or (isinstance(node, Mapping) and not node.entries)
        ):
            yield node


def plain(tree: Tree) -> Plain | list[object] | dict[str, object]:
    """The tree as lists, dicts and scalars, as JSON would hold it."""
    if isinstance(tree, Scalar):
        return tree.value
    if isinstance(tree, Sequence):
        return [plain(item) for item in tree.items]
    return {entry.key.text: plain(entry.value) for entry in tree.entries}
