"""``constraints``, ``behaviors`` and ``project``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from factory_core.contracts.blueprint import Constraints, Project

from .markdown import Heading
from .names import slug_of
from .notes import Notes, nearest, quote
from .tree import Mapping, Scalar, Tree

__all__ = ["read_behaviours", "read_constraints", "read_project", "read_rounds", "seconds_of"]

UNITS = {
    "second": 1,
    "sec": 1,
    "s": 1,
    "minute": 60,
    "min": 60,
    "m": 60,
    "hour": 3600,
    "h": 3600,
    "day": 86400,
    "d": 86400,
}
PIECE = re.compile(r"\s*(\d{1,9}(?:\.\d{1,3})?)\s*([a-z]+?)s?(?=\s|\d|$|,)")
BEHAVIOURS = ("on_failure", "on_success", "on_complexity", "on_integration", "on_security_risk")
ROUNDS = "optimization_rounds"
PROJECT_KEYS = ("name", "description", "template", "currency")


def seconds_of(text: str) -> int | None:
    """``10 minutes``, ``4 hours``, ``1h 30m``; None when it is no duration."""
    total, at = 0.0, 0
    text = text.strip().lower()
    while at < len(text):
        found = PIECE.match(text, at)
        unit = found[2] if found else ""
        if found is None or unit not in UNITS:
            return None
        total += float(found[1]) * UNITS[unit]
        at = found.end()
    return round(total) if total > 0 else None


def read_constraints(tree: Tree | None, notes: Notes) -> Constraints:
    """The maxima and targets; what is no constraint stays *not understood*."""
    constraints = Constraints()
    mapping = notes.mapping(tree, "constraints")
    for entry in mapping.entries if mapping else ():
        name, value = entry.key.text, entry.value
        if name not in READERS:
            if nearest(name, READERS):
                notes.unknown(entry, READERS, "constraints")
            continue
        field, reader, example = READERS[name]
        read = reader(value.text.strip()) if isinstance(value, Scalar) else None
        if read is None:
            notes.error("constraint", f"{name} cannot be read.", value, f"For example: {name}: {example}")
            continue
        constraints = replace(constraints, **{field: read})
        notes.claim(value, f"constraint:{name}")
    return constraints


def read_rounds(meta: Tree | None, constraints: Constraints, notes: Notes) -> Constraints:
    """``optimization_rounds`` may stand in ``meta``, too; in both places it says the same."""
    mapping = notes.mapping(meta, "meta")
    value = mapping.get(ROUNDS) if mapping else None
    if value is None:
        return constraints
    field, reader, example = READERS[ROUNDS]
    read = reader(value.text.strip()) if isinstance(value, Scalar) else None
    if read is None:
        notes.error("constraint", f"{ROUNDS} cannot be read.", value, f"For example: {ROUNDS}: {example}")
        return constraints
    if constraints.optimization_rounds not in (None, read):
        said = f"{ROUNDS} is {read} in meta and {constraints.optimization_rounds} in constraints."
        notes.error("constraint", said, value, "Say it once.")
        return constraints
    notes.claim(value, f"constraint:{ROUNDS}")
    return replace(constraints, **{field: read})


def between(low: int, high: int) -> Callable[[str], int | None]:
    """Reads a whole number in a range, a percent sign allowed."""

    def read(text: str) -> int | None:
        digits = text.removesuffix("%").strip()
        return int(digits) if re.fullmatch(r"\d{1,9}", digits) and low <= int(digits) <= high else None

    return read


def lines_of(text: str) -> tuple[int, int] | None:
    """``15000-20000``, ``15,000-20,000`` or one number."""
    parts = [part.strip().replace(",", "").replace("_", "") for part in re.split(r"-|–|\.\.|to", text)]
    if not 1 <= len(parts) <= 2 or not all(re.fullmatch(r"\d{1,9}", part) for part in parts):
        return None
    low, high = int(parts[0]), int(parts[-1])
    return (low, high) if low <= high else None


def audit_of(text: str) -> bool | None:
    """Whether a security audit is wanted."""
    words = {
        "true": True,
        "mandatory": True,
        "required": True,
        "false": False,
        "none": False,
        "optional": False,
    }
    return words.get(text.lower())


def money_of(text: str) -> int | None:
    """``5 USD``, ``$5`` or ``5`` in nano-dollars."""
    found = re.fullmatch(r"\$?\s*(\d{1,7}(?:\.\d{1,9})?)\s*(?:USD)?", text)
    return round(float(found[1]) * 1_000_000_000) if found else None


READERS: dict[str, tuple[str, Callable[[str], Any], str]] = {
    "max_agents": ("max_agents", between(1, 10_000), "40"),
    "max_build_time": ("max_build_seconds", seconds_of, "10 minutes"),
    "min_test_coverage": ("min_test_coverage", between(0, 100), "85"),
    "target_loc": ("target_loc", lines_of, "15000-20000"),
    "security_audit": ("security_audit", audit_of, "mandatory"),
    "budget": ("budget_nano_usd", money_of, "5 USD"),
    ROUNDS: ("optimization_rounds", between(0, 100), "3"),
}


def read_behaviours(tree: Tree | None, notes: Notes) -> dict[str, str]:
    """What the build does when something happens."""
    mapping = notes.mapping(tree, "behaviors")
    found: dict[str, str] = {}
    for entry in mapping.entries if mapping else ():
        text = notes.text(entry.value, entry.key.text)
        if entry.key.text not in BEHAVIOURS:
            notes.unknown(entry, BEHAVIOURS, "behaviors")
        elif text:
            found[entry.key.text] = text
            notes.claim(entry.value, f"behaviour:{entry.key.text}")
    return found


def read_project(tree: Tree | None, heading: Heading | None, notes: Notes) -> Project:
    """The product's name and what goes with it."""
    mapping = notes.mapping(tree, "project")
    texts = {key: notes.text(mapping.get(key), key) if mapping else None for key in PROJECT_KEYS}
    name, line = texts["name"], mapping.line if mapping else 1
    if not name and heading is not None:
        name, line = heading.text, heading.line
        place = Scalar(text=name, value=name, quoted=False, line=line, column=1, path="project.name")
        notes.assume(f"The project is called {quote(name)}, after the first heading", place)
    if not name:
        notes.error(
            "project", "The product has no name.", mapping or (1, 1), "Add: project: {name: My product}"
        )
        name = "unnamed"
    check_project(mapping, notes)
    for key in PROJECT_KEYS:
        value = mapping.get(key) if mapping else None
        if value is not None:
            notes.claim(value, "project")
    return Project(
        name=name.strip(),
        slug=slug_of(name),
        description=(texts["description"] or "").strip(),
        template=texts["template"] or "neoforge",
        currency=texts["currency"] or "USD",
        line=line,
    )


def check_project(mapping: Mapping | None, notes: Notes) -> None:
    """Note an error for a name, template or currency that cannot be one."""
    checks = {
        "name": (r"(?!.*\.\.[/\\])(?![/\\.])[^\x00-\x1f]{1,100}", "One line of text, no path."),
        "template": (r"[a-z][a-z0-9-]{0,59}", "A template's name, such as neoforge."),
        "currency": (r"[A-Z]{3}", "Three capital letters, such as EUR."),
    }
    for key, (pattern, hint) in checks.items():
        value = mapping.get(key) if mapping else None
        if isinstance(value, Scalar) and value.text and not re.fullmatch(pattern, value.text.strip()):
            notes.error("project", f"{quote(value.text)} cannot be the product's {key}.", value, hint)
