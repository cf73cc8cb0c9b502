"""Where the YAML stands in a document: the whole of it, or the fenced blocks of Markdown."""

from __future__ import annotations

from markdown_it import MarkdownIt
from markdown_it.token import Token
from msgspec import Struct

__all__ = ["Fragment", "Heading", "find_fragments", "is_markdown"]

SUFFIXES = (".md", ".markdown", ".mdown")


class Fragment(Struct, frozen=True, kw_only=True):
    """A piece of YAML. Line ``i`` of it (from 0) is line ``first + i`` of the document, shifted by ``shift[i]``."""

    text: str
    first: int = 1
    shift: tuple[int, ...] = ()

    def locate(self, line: int, column: int) -> tuple[int, int]:
        """The 1-based place in the document of a 0-based place in the fragment."""
        moved = self.shift[line] if line < len(self.shift) else 0
        return self.first + line, column + moved + 1


class Heading(Struct, frozen=True, kw_only=True):
    """The first heading of a Markdown document."""

    text: str
    line: int


def is_markdown(name: str) -> bool:
    """Whether a document of that file name is Markdown."""
    return name.lower().endswith(SUFFIXES)


def find_fragments(text: str) -> tuple[tuple[Fragment, ...], Heading | None]:
    """The fenced ``yaml`` blocks of a Markdown document, in order, and its first heading."""
    reader = MarkdownIt("commonmark")
    reader.core.ruler.enableOnly(["normalize", "block"])
    lines = text.split("\n")
    fragments: list[Fragment] = []
    heading: Heading | None = None
    tokens = reader.parse(text)
    for at, token in enumerate(tokens):
        if token.type == "fence" and token.info.lower().split()[:1] in (["yaml"], ["yml"]):
            fragments.append(cut(token, lines))
        elif token.type == "heading_open" and heading is None:
            heading = Heading(text=" ".join(tokens[at + 1].content.split()), line=begin(token) + 1)
    return tuple(fragments), heading


def begin(token: Token) -> int:
    """The 0-based line a token starts on."""
    return token.map[0] if token.map else 0


def cut(token: Token, lines: list[str]) -> Fragment:
    """The fragment of a fence, with how far each of its lines was indented."""
    first = begin(token) + 1
    content = token.content.split("\n")
    shift = tuple(
        len(lines[first + at]) - len(line)
        if first + at < len(lines) and lines[first + at].endswith(line)
        else 0
        for at, line in enumerate(content)
    )
    return Fragment(text=token.content, first=first + 1, shift=shift)
