"""Small pieces of Python that templates ask for by filter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .context import FieldView
from .kinds import quoted
from .naming import snake
from .schema import column_type

__all__ = ["FILTERS"]

_PLAIN_COLUMNS = frozenset({"String()", "Boolean()", "Date()", "Time()", "Uuid()"})
"""Types that SQLAlchemy finds from the annotation alone."""


def python(value: Any) -> str:
    """The value as a literal in double quotes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{python(key)}: {python(item)}" for key, item in value.items()) + "}"  # type: ignore[misc]
    if isinstance(value, list):
        return "[" + ", ".join(python(item) for item in value) + "]"  # type: ignore[misc]
    return quoted(value)


def column_code(field: FieldView) -> str:
    """The ``= mapped_column(…)`` of a field, or nothing where the annotation says it all."""
    arguments: list[str] = []
    if field.reference:
        delete = f', ondelete="{field.on_delete}"' if field.on_delete else ""
        cyclic = ", use_alter=True" if field.cyclic else ""
        arguments.append(f'ForeignKey("{field.target_table}.id"{delete}{cyclic})')
    elif field.column not in _PLAIN_COLUMNS:
        arguments.append(field.column.removesuffix("()"))
    if field.field.readonly and field.default:
        arguments.append(f"default={factory(field)}")
    if field.python == "Any" and not field.optional:
        arguments.append("nullable=False")
    if field.field.unique:
        arguments.append("unique=True")
    elif field.field.indexed or field.reference:
        arguments.append("index=True")
    if field.attr != field.column_name:
        arguments.insert(0, quoted(field.column_name))
    return f" = mapped_column({', '.join(arguments)})" if arguments else ""


def factory(field: FieldView) -> str:
    """The default as a value, or as the function that makes one."""
    return field.default.removesuffix("()") if field.dynamic else field.default


def create_default(field: FieldView) -> str:
    """What follows a field's type in the schema for making rows."""
    default = "[]" if field.many or field.kind == "list" else ("None" if field.optional else "")
    if field.default:
        default = field.default
    if field.aliased:
        alias = f"alias={quoted(field.name)}"
        if field.dynamic:
            return f" = Field({alias}, default_factory={factory(field)})"
        return f" = Field({alias}, default={default})" if default else f" = Field({alias})"
    if default == "[]":
        return " = Field(default_factory=list)"
    if field.dynamic:
        return f" = Field(default_factory={factory(field)})"
    return f" = {default}" if default else ""


def change_default(field: FieldView) -> str:
    """What stands for "not given" in the schema for changing rows; it is never stored."""
    if field.aliased:
        return f"Field(alias={quoted(field.name)}, default=None)"
    return "None" if field.optional else "Field(default=None)"


def capitalize_first(text: str) -> str:
    """The sentence with a capital."""
    return text[:1].upper() + text[1:]


def docstring(text: str) -> str:
    """The text as it can stand in a docstring."""
    return text.replace("\\", "\\\\").replace('"', "'")


def prefix(text: str, before: str) -> str:
    """The text with something before it."""
    return before + text


def items(pairs: tuple[tuple[str, str], ...]) -> str:
    """Keys and codes as the inside of a dict, with a comma at the end."""
    return "".join(f"{python(name)}: {code}, " for name, code in pairs)


def remarks(field: FieldView) -> str:
    """What a reader of the API must know of a field beyond its type."""
    known = field.field
    length = (known.minimum, known.maximum)
    told = {
        "optional": known.optional,
        "unique": known.unique,
        "read-only": known.readonly,
        f"{known.secrecy.value}, write-only": not field.shown,
        f"{known.scale} digits after the point": known.scale is not None,
        f"at least {length[0]}": length[0] is not None,
        f"at most {length[1]}": length[1] is not None,
        f"default {str(known.default).lower() if field.kind == 'bool' else known.default}": known.has_default,
        known.description: bool(known.description),
    }
    return "; ".join(word for word, holds in told.items() if holds)


FILTERS: dict[str, Callable[..., Any]] = {
    "pairs": items,
    "remarks": remarks,
    "identifier": snake,
    "prefix": prefix,
    "docstring": docstring,
    "py": python,
    "column_code": column_code,
    "stored_type": column_type,
    "create_default": create_default,
    "change_default": change_default,
    "capitalize_first": capitalize_first,
}
