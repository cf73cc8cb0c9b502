"""Text from specifications, generated code and failures, as a terminal or a table may have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["plain", "plain_lines", "said"]


def plain(text: str) -> str:
    """Without what would move the cursor, change colours or end the line: each such character is a space."""
    return "".join(character if character.isprintable() else " " for character in text)


def plain_lines(text: str) -> str:
    """The same of every line, so that the lines stay."""
    return "\n".join(plain(line) for line in text.split("\n"))


def said(
    text: str,
    style: str = "",
    *,
    overflow: Literal["fold", "crop", "ellipsis", "ignore"] | None = None,
    no_wrap: bool | None = None,
) -> Text:
    """For rich, which itself lets escape sequences through, and reads others' words as markup unless they are a Text."""
    from rich.text import Text  # heavy, and the journal's modules use what stands above

    return Text(plain_lines(text), style=style, overflow=overflow, no_wrap=no_wrap)
