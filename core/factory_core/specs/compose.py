"""YAML events to a tree: exact positions, both lines of a duplicate key, nothing expanded before it is counted."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, NoReturn

from msgspec import Struct
from msgspec.structs import replace
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent

from .intake import DEEPEST, FORBIDDEN, too_deep
from .markdown import Fragment
from .notes import Notes, quote
from .scalars import NumberTooLarge, resolve
from .split_types import rejoin
from .tree import Entry, Mapping, Scalar, Sequence, Tree

__all__ = ["Budget", "Composed", "compose"]

MOST_NODES = 20_000
Pair = tuple[Scalar, Tree]


class Unreadable(Exception):
    """The rest of a fragment cannot be read."""


class Budget:
    """How many nodes a document may still have, aliases counted as what they stand for."""

    def __init__(self, nodes: int = MOST_NODES) -> None:
        self.left = nodes


class Composed(Struct, frozen=True, kw_only=True):
    """A fragment's tree, and the stretches of its text that are values, so that a ``#`` in them is no comment."""

    tree: Tree | None
    spans: tuple[tuple[int, int], ...] = ()
    readable: bool = True

    def value_end(self, index: int) -> int:
        """Where the value ends that the character at ``index`` belongs to; 0 when it belongs to none."""
        at = bisect_right(self.spans, (index, 1 << 30)) - 1
        return self.spans[at][1] if at >= 0 and index < self.spans[at][1] else 0


def compose(fragment: Fragment, notes: Notes, budget: Budget) -> Composed:
    """The tree of one fragment; what is wrong with it goes to ``notes``."""
    deep = too_deep(fragment.text)
    if deep is not None:
        refuse_depth(notes, fragment.locate(deep[0] - 1, deep[1] - 1))
        return Composed(tree=None, readable=False)
    composer = Composer(fragment, notes, budget)
    try:
        tree = composer.document()
    except Unreadable:
        return Composed(tree=None, readable=False)
    except MarkedYAMLError as fault:
        refuse_syntax(fault, fragment, notes)
        return Composed(tree=None, readable=False)
    except (YAMLError, ValueError, OverflowError) as fault:  # escapes such as "\UFFFFFFFF"
        notes.error("yaml", f"This is not YAML: {fault}", fragment.locate(0, 0))
        return Composed(tree=None, readable=False)
    return Composed(tree=tree, spans=tuple(sorted(composer.spans)))


def refuse_depth(notes: Notes, at: tuple[int, int]) -> None:
    """Say that a document nests too deeply."""
    notes.error(
        "too-deep", f"More than {DEEPEST} levels of nesting are not read.", at, "Flatten the document."
    )


def refuse_syntax(fault: MarkedYAMLError, fragment: Fragment, notes: Notes) -> None:
    """Say what the YAML scanner stumbled over, in its place."""
    seen: Any = fault
    mark = seen.problem_mark or seen.context_mark
    at = fragment.locate(mark.line, mark.column) if mark is not None else fragment.locate(0, 0)
    problem = str(seen.problem or seen.context or "unreadable")
    if "\\t" in problem or "\t" in problem:
        notes.error("tab", "A tab cannot indent YAML.", at, "Use spaces.")
        return
    context = f"{seen.context}: " if seen.context else ""
    hints = {
        "mapping values are not allowed": "Quote the value if it contains a colon.",
        "expected ',' or": "Close the bracket or brace, or put a comma; quote text that holds { or [.",
        "could not find expected ':'": "A key needs a colon and a space after it.",
        "cannot start any token": "Quote the value.",
        "expected <block end>": "Indent this line like its neighbours.",
        "found undefined alias": "Quote the value if the * is text.",
    }
    hint = next((text for part, text in hints.items() if part in problem), "")
    notes.error("yaml", f"This is not YAML: {context}{problem}.", at, hint)


class Composer:
    """Reads the events of one fragment."""

    def __init__(self, fragment: Fragment, notes: Notes, budget: Budget) -> None:
        self.fragment = fragment
        self.notes = notes
        self.budget = budget
        self.spans: list[tuple[int, int]] = []
        self.anchors: dict[str, tuple[Tree, int] | None] = {}
        """``name -> (tree, nodes in it)``; None while the anchored node is still open."""
        self.depths: dict[str, int] = {}
        self.events: Iterator[Any] = iter(())

    def document(self) -> Tree | None:
        """The one document of the fragment; None when it is empty. Raises Unreadable."""
        yaml: Any = YAML(typ="safe", pure=True)
        self.events = yaml.parse(self.fragment.text)
        tree: Tree | None = None
        documents = 0
        for event in self.events:
            if type(event).__name__ == "DocumentStartEvent":
                documents += 1
                if documents > 1:
                    self.stop("documents", "A specification is one document.", event, "Remove the line ---.")
                tree = self.node(next(self.events), 0)[0]
        empty = isinstance(tree, Scalar) and tree.value is None and not tree.quoted
        return None if empty else tree

    def node(self, event: Any, depth: int) -> tuple[Tree, int]:
        """The node that starts with ``event``, how many nodes it stands for; counts them."""
        if isinstance(event, AliasEvent):
            return self.alias(event, depth)
        self.spend(1, event)
        if depth > DEEPEST:
            refuse_depth(self.notes, self.at(event))
            raise Unreadable
        anchor: str | None = getattr(event, "anchor", None)
        if anchor:
            self.anchors[anchor] = None
        before = self.budget.left + 1
        tree = self.scalar(event) if isinstance(event, ScalarEvent) else self.collection(event, depth)
        size = before - self.budget.left
        if anchor:
            self.anchors[anchor] = (tree, size)
            self.depths[anchor] = height(tree)
        return tree, size

    def alias(self, event: Any, depth: int) -> tuple[Tree, int]:
        """What an alias stands for, paid for as if it had been written out."""
        name = str(event.anchor)
        if name not in self.anchors:
            self.stop("alias", f"*{name} names nothing.", event, "Quote the value if the * is text.")
        known = self.anchors[name]
        if known is None:
            self.stop("alias", f"*{name} stands inside what it names.", event, "Write the value out.")
        tree, size = known
        self.spend(size, event)
        if depth + self.depths[name] > DEEPEST:
            refuse_depth(self.notes, self.at(event))
            raise Unreadable
        return tree, size

    def scalar(self, event: Any) -> Scalar:
        """A single value, resolved."""
        self.refuse_tag(event)
        self.spans.append((event.start_mark.index, event.end_mark.index))
        line, column = self.at(event)
        text, quoted = str(event.value), event.style is not None
        hidden = FORBIDDEN.search(text)
        if hidden is not None:  # written as an escape; on a terminal it could rewrite what else is shown
            message = f"The text holds the control character U+{ord(hidden[0]):04X}."
            self.notes.error("control-character", message, (line, column), "Delete it.")
        try:
            value = text if quoted else resolve(text)
        except NumberTooLarge:
            message = f"{quote(text)} is a number that 64 bits cannot hold."
            self.notes.error("number", message, (line, column), "Quote it if it is text.")
            value = text
        return Scalar(text=text, value=value, quoted=quoted, line=line, column=column)

    def collection(self, event: Any, depth: int) -> Tree:
        """A list or a map."""
        self.refuse_tag(event)
        line, column = self.at(event)
        flow = bool(event.flow_style)
        if isinstance(event, MappingStartEvent):
            return Mapping(entries=self.entries(depth, flow=flow), line=line, column=column, flow=flow)
        items: list[Tree] = []
        while not isinstance(following := next(self.events), SequenceEndEvent):
            items.append(self.node(following, depth + 1)[0])
        return Sequence(items=tuple(items), line=line, column=column, flow=flow)

    def entries(self, depth: int, *, flow: bool) -> tuple[Entry, ...]:
        """The keys and values of a map, keys unique."""
        pairs: list[Pair] = []
        while not isinstance(event := next(self.events), MappingEndEvent):
            key = self.key(event, depth)
            pairs.append((key, self.node(next(self.events), depth + 1)[0]))
        if flow:
            pairs = rejoin(pairs, self.notes)
        found: dict[str, Entry] = {}
        for key, value in pairs:
            if key.text in found:
                first = found[key.text].key.line
                message = f"The key {quote(key.text)} stands here and on line {first}."
                self.notes.error("duplicate-key", message, key, "Remove or rename one of them.")
            else:
                found[key.text] = Entry(key=key, value=value)
        return tuple(found.values())

    def key(self, event: Any, depth: int) -> Scalar:
        """A key, which is a single value."""
        node = self.node(event, depth + 1)[0]
        if not isinstance(node, Scalar):
            self.stop("key", "A key must be a single value.", event, "Quote text that begins with [ or {.")
        if node.text == "<<" and not node.quoted:
            self.stop("merge-key", "Merge keys (<<) are not part of YAML 1.2.", event, "Write the keys out.")
        if not node.text:
            self.notes.error("key", "A key is empty.", node, "Name it.")
        return replace(node, line=self.at(event)[0], column=self.at(event)[1])

    def refuse_tag(self, event: Any) -> None:
        """Stop at ``!anything``: a specification holds text, numbers, lists and maps, never objects."""
        if event.ctag is not None:
            self.stop(
                "tag",
                f"The tag {quote(str(event.ctag))} is refused; a specification holds plain values only.",
                event,
                "Remove it; quote the value if the ! is text.",
            )

    def spend(self, nodes: int, event: Any) -> None:
        """Take nodes from the budget."""
        self.budget.left -= nodes
        if self.budget.left < 0:
            message = f"The document stands for more than {MOST_NODES:,} values, its aliases written out."
            self.stop("too-many-values", message, event, "Split the product, or write less by alias.")

    def at(self, event: Any) -> tuple[int, int]:
        """Where an event starts in the document."""
        return self.fragment.locate(event.start_mark.line, event.start_mark.column)

    def stop(self, code: str, message: str, event: Any, suggestion: str) -> NoReturn:
        """Note an error and give the fragment up."""
        self.notes.error(code, message, self.at(event), suggestion)
        raise Unreadable


def height(tree: Tree) -> int:
    """How many levels a tree has below its root."""
    if isinstance(tree, Scalar):
        return 0
    below = tree.items if isinstance(tree, Sequence) else [entry.value for entry in tree.entries]
    return 1 + max(map(height, below), default=-1)
