"""Comments, and the nodes they stand at."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from .compose import Composed
from .markdown import Fragment
from .tree import Mapping, Sequence, Tree

__all__ = ["Comment", "attach", "find_comments"]

MARK = re.compile(r"(?:(?<=\s)|^)#+[ \t]?(.*)$", re.MULTILINE)


class Comment(Struct, frozen=True, kw_only=True):
    """The text behind a ``#``. ``last`` is the last line of its fragment; ``path`` the node it stands at."""

    text: str
    line: int
    last: int
    alone: bool
    path: str = ""


def find_comments(fragment: Fragment, composed: Composed) -> Iterator[Comment]:
    """The comments of a fragment in order."""
    last = fragment.first + fragment.text.count("\n")
    line, at = 0, 0
    for found in MARK.finditer(fragment.text):
        if composed.within(found.start()):
            continue
        line += fragment.text.count("\n", at, found.start())
        at = found.start()
        begin = fragment.text.rfind("\n", 0, at) + 1
        yield Comment(
            text=found[1].strip(),
            line=fragment.first + line,
            last=last,
            alone=not fragment.text[begin:at].strip(),
        )


def attach(comments: list[Comment], tree: Tree) -> list[Comment]:
    """The comments with their nodes: the one that starts on the line, or the next one for a line of its own."""
    anchors: dict[int, str] = {}
    gather(tree, anchors)
    return [
        Comment(text=c.text, line=c.line, last=c.last, alone=c.alone, path=node_at(c, anchors))
        for c in comments
    ]


def node_at(comment: Comment, anchors: dict[int, str]) -> str:
    """The path of the node a comment stands at; empty for the document itself."""
    lines = range(comment.line, comment.last + 1) if comment.alone else range(comment.line, 0, -1)
    return next((anchors[line] for line in lines if line in anchors), "")


def gather(tree: Tree, anchors: dict[int, str]) -> None:
    """``line -> path`` of the innermost node of block style that starts there."""
    if isinstance(tree, Mapping):
        for entry in tree.entries:
            if not tree.flow:
                for line in (entry.key.line, *entry.also):
                    note(line, entry.key.path, anchors)
            gather(entry.value, anchors)
    elif isinstance(tree, Sequence):
        for item in tree.items:
            if not tree.flow:
                note(item.line, item.path, anchors)
            gather(item, anchors)


def note(line: int, path: str, anchors: dict[int, str]) -> None:
    """Keep the path unless another branch starts on the same line: an alias shows a line a second time."""
    if path.startswith(anchors.get(line, "")):
        anchors[line] = path
