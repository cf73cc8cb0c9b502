"""Comments, and the nodes they stand at."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from .compose import Budget, Composed
from .markdown import Fragment
from .tree import Mapping, Sequence, Tree

__all__ = ["Comment", "attach", "find_comments"]

MARK = re.compile(r"(?:(?<=\s)|^)#", re.MULTILINE)
TELLING = re.compile(r"agent|spawn|trigger|minute|min\b|hour|\d+ ?h\b", re.IGNORECASE)
"""Only comments that say something to the planner are kept."""


class Comment(Struct, frozen=True, kw_only=True):
    """The text behind a ``#``. ``last`` is the last line of its fragment; ``path`` the node it stands at."""

    text: str
    line: int
    column: int
    last: int
    alone: bool
    path: str = ""


class Anchor(Struct, frozen=True):
    """A node of block style, and the column it starts in."""

    path: str
    column: int


def find_comments(fragment: Fragment, composed: Composed, budget: Budget) -> Iterator[Comment]:
    """The telling comments of a fragment, in order, until the budget is spent."""
    last = fragment.first + fragment.text.count("\n")
    text, line, counted, at = fragment.text, fragment.first, 0, 0
    while (found := MARK.search(text, at)) is not None:
        at = composed.value_end(found.start())
        if at:
            continue
        at = found.end()
        line, counted = line + text.count("\n", counted, at), at
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        words = text[at:end].lstrip("#").strip()
        if TELLING.search(words) and budget.left > 0:
            budget.left -= 1
            begin = text.rfind("\n", 0, at) + 1
            alone = not text[begin : found.start()].strip()
            column = fragment.locate(line - fragment.first, found.start() - begin)[1]
            yield Comment(text=words, line=line, column=column, last=last, alone=alone)
        at = end


def attach(comments: list[Comment], tree: Tree) -> list[Comment]:
    """The comments with their nodes: the one that starts on the line, or the next one for a line of its own."""
    anchors: dict[int, Anchor] = {}
    gather(tree, anchors)
    lines = sorted(anchors)
    return [replace(comment, path=node_at(comment, anchors, lines)) for comment in comments]


def node_at(comment: Comment, anchors: dict[int, Anchor], lines: list[int]) -> str:
    """The path of the node a comment stands at; empty for the document itself."""
    at = bisect_left(lines, comment.line)
    if comment.alone and at < len(lines) and lines[at] <= comment.last:
        following = anchors[lines[at]]
        if following.column >= comment.column:  # else it ends what stands above it
            return following.path
    at = bisect_right(lines, comment.line) - 1
    return anchors[lines[at]].path if at >= 0 else ""


def gather(tree: Tree, anchors: dict[int, Anchor]) -> None:
    """``line -> node``: the innermost node of block style that starts there."""
    if isinstance(tree, Mapping):
        for entry in tree.entries:
            if not tree.flow:
                for line in (entry.key.line, *entry.also):
                    note(line, Anchor(entry.key.path, entry.key.column), anchors)
            gather(entry.value, anchors)
    elif isinstance(tree, Sequence):
        for item in tree.items:
            if not tree.flow:
                note(item.line, Anchor(item.path, item.column), anchors)
            gather(item, anchors)


def note(line: int, anchor: Anchor, anchors: dict[int, Anchor]) -> None:
    """Keep the node unless another branch starts on the same line: an alias shows a line a second time."""
    if line not in anchors or anchor.path.startswith(anchors[line].path):
        anchors[line] = anchor
