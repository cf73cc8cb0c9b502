"""The short form of a field: ``TYPE[?] [unique] [indexed] [readonly] [secret] [cascade|clear] [= DEFAULT]``."""

from __future__ import annotations

import re
from collections.abc import Collection

from msgspec import Struct
from msgspec.structs import replace

from factory_core.contracts.blueprint import Field, FieldKind, OnDelete, Secrecy

from .defaults import BadDefault, read_default
from .names import LONGEST_NAME
from .notes import nearest, quote
from .scalars import LARGEST

__all__ = ["NEVER_UNIQUE", "BadType", "Shape", "check_field", "read_field"]

SIMPLE = {
    word: FieldKind(word)
    for word in ("text", "int", "float", "bool", "date", "datetime", "time", "uuid", "email", "url", "json")
}
TYPE_WORDS = (*SIMPLE, "decimal", "money", "enum", "list", "many")
OPTIONS = ("unique", "indexed", "readonly", "secret", "secret(encrypted)", "cascade", "clear")
ORDER = "TYPE[?] [unique] [indexed] [readonly] [secret] [cascade|clear] [= DEFAULT]"
WORDS = re.compile(r"[\w-]+")
LONGEST_TEXT = 1_000_000
MOST_VALUES = 200
WORD = re.compile(r"[a-z]+")
ARGUMENTS = re.compile(r"\s*\(([^()]*)\)")
NUMBER = re.compile(r"\s*-?\d{1,19}\s*")
SECRET_KINDS = (FieldKind.TEXT, FieldKind.EMAIL, FieldKind.URL)
NEVER_UNIQUE = (FieldKind.JSON, FieldKind.LIST, FieldKind.MANY)


class BadType(Exception):
    """A field's text that is no type. ``at`` counts characters from its start."""

    def __init__(self, message: str, at: int = 0, suggestion: str = "") -> None:
        super().__init__(message)
        self.at = at
        self.suggestion = suggestion


class Shape(Struct, frozen=True):
    """A type and how many characters it took."""

    field: Field
    end: int


def read_field(name: str, text: str, entities: Collection[str]) -> Field:
    """The field a short form describes, defaults checked. Raises BadType."""
    shape = read_type(name, text, 0, entities)
    field, at = shape.field, shape.end
    if text[at : at + 1] == "?":
        field, at = replace(field, optional=True), at + 1
    last = -1
    while (at := skip(text, at)) < len(text) and text[at] != "=":
        option = read_option(text, at)
        if OPTIONS.index(option) <= last:
            raise BadType(
                f"{quote(option)} stands in the wrong place or twice.", at, f"The order is {ORDER}."
            )
        last = OPTIONS.index(option)
        field, at = apply_option(field, option), at + len(option)
    if at < len(text):
        field = with_default(field, text[at + 1 :].strip(), at)
    return check_field(field)


def read_type(name: str, text: str, at: int, entities: Collection[str]) -> Shape:
    """The type that starts at ``at``. Raises BadType."""
    at = skip(text, at)
    found = WORD.match(text, at)
    word = found[0] if found and not following(text, found.end()) else ""
    if word in SIMPLE or word in ("decimal", "money", "enum"):
        return read_simple(name, word, text, at + len(word))
    if word == "list":
        return read_list(name, text, at + 4, entities)
    if word == "many":
        target = read_target(text, skip(text, at + 4), entities)
        return Shape(Field(name=name, kind=FieldKind.MANY, target=target), skip(text, at + 4) + len(target))
    target = read_target(text, at, entities)
    return Shape(Field(name=name, kind=FieldKind.REFERENCE, target=target), at + len(target))


def skip(text: str, at: int) -> int:
    """The next character that is no space."""
    while at < len(text) and text[at] == " ":
        at += 1
    return at


def following(text: str, at: int) -> bool:
    """Whether a word goes on at ``at``."""
    return at < len(text) and (text[at].isalnum() or text[at] in "_-")


def read_target(text: str, at: int, entities: Collection[str]) -> str:
    """The entity named at ``at``, the longest that fits. Raises BadType."""
    ends = [found.end() for found in WORDS.finditer(text, at, at + LONGEST_NAME)]
    for end in reversed(ends):
        if text[at:end] in entities and not following(text, end):
            return text[at:end]
    found = re.compile(r"[A-Za-z][A-Za-z0-9_-]*").match(text, at)
    word = found[0] if found else text[at:].strip()
    if not word:
        raise BadType("A type is missing.", at, "For example: text(1..80)")
    raise BadType(
        f"{quote(word)} is neither a type nor an entity.",
        at,
        nearest(word, [*TYPE_WORDS, *entities])
        or f"Types: {', '.join(TYPE_WORDS)}, or the name of an entity.",
    )


def read_list(name: str, text: str, at: int, entities: Collection[str]) -> Shape:
    """``list TYPE``, of plain values. Raises BadType."""
    if re.match(r"(list|json)\b", text[skip(text, at) :]):
        raise BadType("A list holds plain values.", at, "For anything deeper write: json")
    inner = read_type("item", text, at, entities)
    if inner.field.kind in (FieldKind.REFERENCE, FieldKind.MANY):
        raise BadType("A list holds plain values.", at, f"For links to rows write: many {inner.field.target}")
    return Shape(Field(name=name, kind=FieldKind.LIST, item=inner.field), inner.end)


def read_simple(name: str, word: str, text: str, at: int) -> Shape:
    """A type with its arguments in parentheses. Raises BadType."""
    found = ARGUMENTS.match(text, at)
    if text[at : at + 1] == "(" and found is None:
        raise BadType(
            "A parenthesis is not closed.", at, 'In {…} a type with a comma must be quoted: "enum(a, b)"'
        )
    arguments = found[1] if found else None
    end = found.end() if found else at
    if word == "money":
        if arguments is not None:
            raise BadType("money has no arguments; it is decimal(19,2).", at)
        return Shape(Field(name=name, kind=FieldKind.DECIMAL, precision=19, scale=2, money=True), end)
    if word == "decimal":
        return Shape(read_decimal(name, arguments, at), end)
    if word == "enum":
        return Shape(Field(name=name, kind=FieldKind.ENUM, values=read_values(arguments, at)), end)
    if arguments is None:
        return Shape(Field(name=name, kind=SIMPLE[word]), end)
    if word not in ("text", "int"):
        raise BadType(f"{word} has no arguments.", at, f"Write: {word}")
    low, high = read_range(word, arguments, at)
    return Shape(Field(name=name, kind=SIMPLE[word], minimum=low, maximum=high), end)


def read_range(word: str, arguments: str, at: int) -> tuple[int | None, int]:
    """``max`` (of text) or ``min..max``. Raises BadType."""
    parts = arguments.split("..")
    if (
        len(parts) > 2
        or not all(NUMBER.fullmatch(part) for part in parts)
        or (word == "int" and len(parts) == 1)
    ):
        example = "text(80) or text(1..80)" if word == "text" else "int(0..100)"
        raise BadType(
            f"{quote(f'{word}({arguments})')} has no readable range.", at, f"For example: {example}"
        )
    high = int(parts[-1])
    low = int(parts[0]) if len(parts) == 2 else None
    smallest, largest = (0, LONGEST_TEXT) if word == "text" else (-LARGEST - 1, LARGEST)
    if not (smallest <= (low if low is not None else high) <= high <= largest) or (
        word == "text" and high == 0
    ):
        raise BadType(
            f"{quote(f'{word}({arguments})')} allows no value.", at, f"From {smallest} to {largest:,}."
        )
    return low, high


def read_decimal(name: str, arguments: str | None, at: int) -> Field:
    """``decimal(precision,scale)``. Raises BadType."""
    parts = (arguments or "").split(",")
    if len(parts) != 2 or not all(NUMBER.fullmatch(part) for part in parts):
        raise BadType("decimal needs a precision and a scale.", at, "For example: decimal(10,2)")
    precision, scale = int(parts[0]), int(parts[1])
    if not 1 <= precision <= 38 or not 0 <= scale <= precision:
        raise BadType(
            f"decimal({precision},{scale}) is impossible.", at, "Precision 1 to 38, scale 0 to precision."
        )
    return Field(name=name, kind=FieldKind.DECIMAL, precision=precision, scale=scale)


def read_values(arguments: str | None, at: int) -> tuple[str, ...]:
    """The words of an enum, all different. Raises BadType."""
    values = tuple(word.strip().strip("\"'").strip() for word in (arguments or "").split(","))
    return check_values(values, at)


def check_values(values: tuple[str, ...], at: int = 0) -> tuple[str, ...]:
    """The same words, when an enum may have them. Raises BadType."""
    if not values or not all(values):
        raise BadType("enum needs its words.", at, "For example: enum(todo, doing, done)")
    if len(set(values)) < len(values):
        raise BadType("An enum has a word twice.", at)
    if len(values) > MOST_VALUES or max(map(len, values)) > 64:
        raise BadType(
            "An enum has at most 200 words of at most 64 characters.", at, "A table of its own fits better."
        )
    return values


def read_option(text: str, at: int) -> str:
    """The option at ``at``. Raises BadType."""
    found = re.compile(r"[A-Za-z?]+(\([a-z]*\))?").match(text, at)
    word = found[0] if found else text[at:]
    if word in OPTIONS:
        return word
    if word == "?":
        raise BadType("The ? stands right after the type.", at, f"The order is {ORDER}.")
    raise BadType(
        f"{quote(word)} is no option of a field.", at, nearest(word, OPTIONS) or f"The order is {ORDER}."
    )


def apply_option(field: Field, option: str) -> Field:
    """The field with one option more."""
    if option.startswith("secret"):
        return replace(field, secrecy=Secrecy.ENCRYPTED if "(" in option else Secrecy.HASHED)
    if option in ("cascade", "clear"):
        return replace(field, on_delete=OnDelete(option))
    return replace(field, **{option: True})


def with_default(field: Field, text: str, at: int) -> Field:
    """The field with a default, read by its type. Raises BadType."""
    try:
        return replace(field, has_default=True, default=read_default(field, text))
    except BadDefault as fault:
        raise BadType(str(fault), at, fault.suggestion) from None


def check_field(field: Field) -> Field:
    """The same field, when its options go together. Raises BadType."""
    if field.optional and field.kind in (FieldKind.MANY, FieldKind.LIST):
        raise BadType(f"A {field.kind.value} field is never absent, only empty.", 0, "Remove the ?.")
    if field.unique and field.kind in NEVER_UNIQUE:
        raise BadType(f"A {field.kind.value} field cannot be unique.")
    if field.on_delete is not OnDelete.REFUSE and field.kind is not FieldKind.REFERENCE:
        raise BadType(
            f"Only a reference can {field.on_delete.value}.", 0, "Links of a many field go by themselves."
        )
    if field.on_delete is OnDelete.CLEAR and not field.optional:
        raise BadType(
            "A required reference cannot be cleared.", 0, f"Write: {field.target}? clear, or cascade."
        )
    if field.readonly and not (
        field.optional or field.has_default or field.kind in (FieldKind.MANY, FieldKind.LIST)
    ):
        raise BadType("Nobody could fill a required readonly field.", 0, "Give it a default, or write ?.")
    return check_secret(field)


def check_secret(field: Field) -> Field:
    """The same field, when it may be kept secret the way it says. Raises BadType."""
    if field.secrecy is Secrecy.NONE:
        return field
    if field.kind not in SECRET_KINDS:
        raise BadType("Only text, email and url can be secret.", 0)
    if field.unique or field.indexed:
        raise BadType("A secret cannot be unique or indexed: what is stored differs each time.", 0)
    if field.has_default:
        raise BadType("A secret has no default.", 0, "Everybody could read it in the specification.")
    return field
