"""The long form of a field: ``{type: text, max: 80, unique: true, …}``."""

from __future__ import annotations

from msgspec.structs import replace

from factory_core.contracts.blueprint import Field, FieldKind, OnDelete, Secrecy

from .field_types import BadType, check_field, check_values, read_field, with_default
from .links import Links
from .names import Catalogue
from .notes import Notes, quote
from .tree import Entry, Mapping, Scalar, Sequence, Tree

__all__ = ["KEYS", "long_form"]

KEYS = (
    "type", "min", "max", "precision", "scale", "values", "of", "unique", "indexed", "readonly", "secret",
    "optional", "on_delete", "default", "description", "requirement",
)  # fmt: skip
FLAGS = ("unique", "indexed", "readonly", "optional")


def long_form(entry: Entry, value: Mapping, names: Catalogue, links: Links, notes: Notes) -> Field:
    """The field a map describes. Raises BadType."""
    notes.keys(value, KEYS, f"the field {entry.key.text}")
    kind = value.get("type")
    if not isinstance(kind, Scalar) or not kind.text:
        raise BadType("The long form of a field needs a type.", 0, "For example: {type: text, max: 80}")
    text = spelled(kind.text, value)
    field = replace(read_field(entry.key.text, text, names.exact), line=entry.key.line)
    for flag in FLAGS:
        if value.get(flag) is not None:
            field = replace(field, **{flag: truth(value.get(flag), flag)})
    field = replace(
        field,
        secrecy=secrecy(value.get("secret"), field.secrecy),
        on_delete=on_delete(value.get("on_delete"), field.on_delete),
        description=notes.text(value.get("description"), "description") or "",
        requirements=links.read(value.get("requirement")),
    )
    default = value.get("default")
    if default is not None:
        field = with_default(field, default_text(default, field.kind), 0)
    return check_field(field)


def spelled(kind: str, value: Mapping) -> str:
    """The type with its arguments, as the short form spells it. Raises BadType."""
    arguments = [(name, number(value.get(name), name)) for name in ("min", "max", "precision", "scale")]
    low, high, precision, scale = (given for _, given in arguments)
    if kind == "enum":
        words = value.get("values")
        if not isinstance(words, Sequence):
            raise BadType("An enum needs values.", 0, "For example: {type: enum, values: [todo, done]}")
        texts = tuple(item.text if isinstance(item, Scalar) else "" for item in words.items)
        if any(sign in text for text in texts for sign in ",()"):
            raise BadType("The words of an enum hold no commas or parentheses.")
        return f"enum({', '.join(check_values(texts))})"
    if kind == "decimal":
        return f"decimal({precision},{scale})"
    if kind in ("list", "many"):
        inner = value.get("of")
        return f"{kind} {inner.text if isinstance(inner, Scalar) else ''}"
    if kind == "text" and (low is not None or high is not None):
        return f"text({low or 0}..{high if high is not None else 1_000_000})"
    if kind == "int" and (low is not None or high is not None):
        return f"int({low if low is not None else -(2**63)}..{high if high is not None else 2**63 - 1})"
    if any(given is not None for _, given in arguments):
        wrong = next(name for name, given in arguments if given is not None)
        raise BadType(f"{quote(kind)} has no {wrong}.")
    return kind


def number(tree: Tree | None, name: str) -> int | None:
    """A whole number. Raises BadType."""
    if tree is None:
        return None
    if isinstance(tree, Scalar) and isinstance(tree.value, int) and not isinstance(tree.value, bool):
        return tree.value
    raise BadType(f"{name} must be a whole number.")


def truth(tree: Tree | None, name: str) -> bool:
    """``true`` or ``false``. Raises BadType."""
    if isinstance(tree, Scalar) and isinstance(tree.value, bool):
        return tree.value
    raise BadType(f"{name} is true or false.")


def secrecy(tree: Tree | None, before: Secrecy) -> Secrecy:
    """``secret: true`` or ``secret: encrypted``. Raises BadType."""
    if tree is None:
        return before
    if isinstance(tree, Scalar) and tree.text in ("encrypted", "hashed"):
        return Secrecy(tree.text)
    return Secrecy.HASHED if truth(tree, "secret") else Secrecy.NONE


def on_delete(tree: Tree | None, before: OnDelete) -> OnDelete:
    """``on_delete: cascade``. Raises BadType."""
    if tree is None:
        return before
    if isinstance(tree, Scalar) and tree.text in ("refuse", "cascade", "clear"):
        return OnDelete(tree.text)
    raise BadType("on_delete is refuse, cascade or clear.")


def default_text(tree: Tree, kind: FieldKind) -> str:
    """A default as the short form would spell it. Raises BadType."""
    if isinstance(tree, Scalar):
        text_like = kind in (FieldKind.TEXT, FieldKind.ENUM)
        return f'"{tree.text}"' if text_like else tree.text
    if isinstance(tree, Sequence) and not tree.items:
        return "[]"
    raise BadType("A default is a single value.", 0, "A list is written as JSON in quotes.")
