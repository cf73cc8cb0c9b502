"""Acceptance cases as code: each step becomes one call of a story, in Python a reader can follow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

from msgspec import Struct

from factory_core.contracts.blueprint import AcceptanceCase, Blueprint, Step

from . import naming
from .kinds import quoted

__all__ = ["CaseView", "case_views"]

_REFERENCE = re.compile(r"\$(\$|([A-Za-z_][A-Za-z0-9_]*)((?:\.[A-Za-z0-9_]+)*))")


class CaseView(Struct, frozen=True, kw_only=True):
    """A case, its function's name and its steps as statements."""

    case: AcceptanceCase
    slug: str
    steps: tuple[str, ...]
    anything: bool
    """Whether ``any`` is expected somewhere."""


def case_views(blueprint: Blueprint) -> tuple[CaseView, ...]:
    """Every case, with names that differ."""
    slugs = naming.unique(naming.slug(case.name) for case in blueprint.acceptance)
    return tuple(_view(case, slug) for case, slug in zip(blueprint.acceptance, slugs, strict=True))


def _view(case: AcceptanceCase, slug: str) -> CaseView:
    used = {found for step in case.steps for found in _names(step)}
    steps = tuple(_step(step, used) for step in case.steps)
    return CaseView(case=case, slug=slug, steps=steps, anything=any("ANYTHING" in step for step in steps))


def _step(step: Step, used: set[str]) -> str:
    arguments = [_code(step.path)]
    if step.has_body:
        arguments.append(_code(step.body))
    if step.role is not None:
        arguments.append(f"role={quoted(step.role)}")
    if step.status is not None:
        arguments.append(f"status={step.status}")
    if step.has_expect_body:
        arguments.append(f"answer={_code(step.expect_body, expected=True)}")
    if step.count is not None:
        arguments.append(f"count={step.count}")
    if step.headers:
        arguments.append(f"headers={_code(step.headers, expected=True)}")
    if step.absent:
        arguments.append(f"absent={_code(list(step.absent))}")
    keep = f"{_variable(step.save)} = " if step.save in used else ""
    return f"{keep}story.{step.method.lower()}({', '.join(arguments)})"


def _variable(name: str | None) -> str:
    safe = naming.module(name or "")
    return f"{safe}_" if safe == "story" else safe


def _names(step: Step) -> set[str]:
    texts = [step.path, *_texts(step.body), *_texts(step.expect_body), *step.headers.values()]
    return {found[2] for text in texts for found in _REFERENCE.finditer(text) if found[2]}


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, list) else []  # type: ignore[reportUnknownVariableType] - JSON
    return [text for item in inner for text in _texts(item)]  # type: ignore[reportUnknownVariableType] - JSON


def _code(value: Any, *, expected: bool = False) -> str:
    match value:
        case str():
            return "ANYTHING" if expected and value == "any" else _text(value)
        case Mapping():
            return _object(cast("Mapping[str, Any]", value), expected=expected)
        case list() | tuple():
            return "[" + ", ".join(_code(item, expected=expected) for item in value) + "]"  # type: ignore[reportUnknownVariableType] - JSON
        case Decimal():
            return str(value)
        case _:
            return repr(value)


def _object(value: Mapping[str, Any], *, expected: bool) -> str:
    pairs = (f"{_text(key)}: {_code(item, expected=expected)}" for key, item in value.items())
    return "{" + ", ".join(pairs) + "}"


def _text(text: str) -> str:
    """A literal; references to saved answers become indexing, alone or inside an f-string."""
    whole = _REFERENCE.fullmatch(text)
    if whole and whole[2]:
        return _index(whole)
    if not any(found[2] for found in _REFERENCE.finditer(text)):
        return quoted(_REFERENCE.sub("$", text))
    parts: list[str] = []
    end = 0
    for found in _REFERENCE.finditer(text):
        parts.append(quoted(text[end : found.start()])[1:-1].replace("{", "{{").replace("}", "}}"))
        parts.append("{" + _index(found).replace('"', "'") + "}" if found[2] else "$")
        end = found.end()
    parts.append(quoted(text[end:])[1:-1].replace("{", "{{").replace("}", "}}"))
    return 'f"' + "".join(parts) + '"'


def _index(found: re.Match[str]) -> str:
    keys = [key for key in found[3].split(".") if key]
    indexes = "".join(f"[{key}]" if key.isdigit() else f"[{quoted(key)}]" for key in keys)
    return f"{_variable(found[2])}{indexes}"
