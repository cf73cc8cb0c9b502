"""Bytes to text, refusing what could harm before anything is parsed."""

from __future__ import annotations

import codecs
import re

from .notes import Notes

__all__ = ["DEEPEST", "LARGEST_DOCUMENT", "decode", "too_deep"]

LARGEST_DOCUMENT = 1 << 20
MOST_LINES = 30_000
LONGEST_LINE = 20_000
DEEPEST = 100
"""Levels of nesting a document may have."""
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
OTHER_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
SKIPPED = re.compile(r'"(?:[^"\\\n]|\\.)*"|(?:(?<=\s)|^)#[^\n]*|[\[\]{}]', re.MULTILINE)
MARKERS = re.compile(r"( *)((?:[-?:] +)*)(\S?)")


def decode(data: bytes, notes: Notes) -> str | None:
    """The document with plain line ends, or None when it is refused."""
    if len(data) > LARGEST_DOCUMENT:
        notes.error(
            "too-large",
            f"The document has {len(data):,} bytes; more than {LARGEST_DOCUMENT:,} are not read.",
            (1, 1),
            "Split the product, or move prose out of the specification.",
        )
        return None
    for mark, name in OTHER_ENCODINGS:
        if data.startswith(mark):
            notes.error("encoding", f"The document is {name}.", (1, 1), "Save it as UTF-8.")
            return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        notes.error(
            "encoding",
            f"Byte 0x{data[fault.start]:02X} is not UTF-8; the document is in another encoding.",
            position(data[: fault.start].decode("utf-8-sig", "replace")),
            "Save it as UTF-8.",
        )
        return None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if bounded(text, notes) and printable(text, notes) else None


def bounded(text: str, notes: Notes) -> bool:
    """Whether the document has a sensible shape: neither very many lines nor very long ones."""
    lines = text.split("\n")
    if len(lines) > MOST_LINES:
        message = f"The document has {len(lines):,} lines; more than {MOST_LINES:,} are not read."
        notes.error("too-large", message, (MOST_LINES, 1), "Split the product.")
        return False
    longest = max(range(len(lines)), key=lambda number: len(lines[number]))
    if len(lines[longest]) > LONGEST_LINE:
        message = f"Line {longest + 1} has {len(lines[longest]):,} characters; more than {LONGEST_LINE:,} are not read."
        notes.error(
            "too-long", message, (longest + 1, LONGEST_LINE), "Break the line; > and | begin long texts."
        )
        return False
    return True


def printable(text: str, notes: Notes) -> bool:
    """Whether every character of the text is one that editors show."""
    found = FORBIDDEN.search(text)
    if found is None:
        return True
    named = "a NUL byte" if found[0] == "\0" else f"the control character U+{ord(found[0]):04X}"
    hint = "Save it as UTF-8." if found[0] == "\0" else "Delete it."
    notes.error("control-character", f"The document holds {named}.", position(text[: found.start()]), hint)
    return False


def position(before: str) -> tuple[int, int]:
    """Line and column right after ``before``."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def too_deep(text: str) -> tuple[int, int] | None:
    """Where brackets or indentation nest beyond any sensible document, counted without parsing it."""
    depth = 0
    for found in SKIPPED.finditer(text):
        if found[0] in "[{":
            depth += 1
            if depth > DEEPEST * 2:
                return position(text[: found.start()])
        elif found[0] in "]}":
            depth = max(0, depth - 1)
    return too_indented(text)


def too_indented(text: str) -> tuple[int, int] | None:
    """The same for block style: the stack of indents, with ``- - -`` on one line counted each."""
    stack: list[int] = []
    for number, line in enumerate(text.split("\n"), 1):
        found = MARKERS.match(line)
        if found is None or not found[3] or found[3] == "#":
            continue
        indent = len(found[1])
        columns = [indent, *(indent + at + 1 for at, sign in enumerate(found[2]) if sign != " ")]
        while stack and stack[-1] >= indent:
            stack.pop()
        stack += columns
        if len(stack) > DEEPEST * 2:
            return number, indent + 1
    return None
