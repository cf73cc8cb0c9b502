"""What a kind of work declares to read. What it does not declare is not handed over, and not part of its memo key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from factory_core.contracts.blueprint import Blueprint
from factory_core.contracts.template import WorkSpec
from factory_core.sandbox.inside.carrier import pattern

__all__ = ["PARTS", "PREFIX", "RELEASE", "WHOLE", "Reads", "reads_for", "release_patterns", "unnumbered"]

WHOLE = "blueprint"
PREFIX = "blueprint."
RELEASE = "release:"
"""Begins a pattern of paths in the release that the build stands on."""
PARTS = frozenset(field.name for field in msgspec.structs.fields(Blueprint)) - {"project"}
"""What ``blueprint.<part>`` can name. The project's own facts are always seen."""


class Reads(Struct, frozen=True, kw_only=True):
    """``None`` stands for everything."""

    parts: frozenset[str] | None = None
    works: frozenset[str] | None = None
    """Kinds of work whose tasks' data it gets."""
    paths: tuple[re.Pattern[str], ...] | None = None
    released: tuple[re.Pattern[str], ...] | None = None

    def sees(self, path: str) -> bool:
        """Whether it gets the file."""
        return self.paths is None or any(glob.fullmatch(path) for glob in self.paths)

    def inherits(self, path: str) -> bool:
        """Whether it gets that file of the release."""
        return self.released is None or any(glob.fullmatch(path) for glob in self.released)

    def hears(self, params: Mapping[str, str]) -> bool:
        """Whether it gets the data of the task with these parameters."""
        return self.works is None or params.get("work", "") in self.works

    def of(self, blueprint: Blueprint) -> Blueprint:
        """The blueprint without the parts that are not declared. Where some are, line numbers are gone, too: moving a
        section of the spec changes nothing."""
        if self.parts is None:
            return blueprint
        kept = {name: unnumbered(getattr(blueprint, name)) for name in self.parts}
        return Blueprint(project=unnumbered(blueprint.project), **kept)


@cache
def _reads_of(declared: tuple[str, ...], works: frozenset[str]) -> Reads:
    parts = frozenset(name.removeprefix(PREFIX) for name in declared if name.startswith(PREFIX))
    paths = [
        name
        for name in declared
        if name != WHOLE and not name.startswith((PREFIX, RELEASE)) and name not in works
    ]
    return Reads(
        parts=None if WHOLE in declared else parts,
        works=works.intersection(declared),
        paths=tuple(re.compile(pattern(path)) for path in paths),
        released=_released(declared),
    )


def _released(declared: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    globs = (name.removeprefix(RELEASE) for name in declared if name.startswith(RELEASE))
    return tuple(re.compile(pattern(glob)) for glob in globs)


def release_patterns(works: Iterable[WorkSpec]) -> tuple[re.Pattern[str], ...]:
    """What of a release is read by any of these kinds of work that says what it reads."""
    return _released(dict.fromkeys(name for work in works for name in work.reads or ()))


def reads_for(works: tuple[WorkSpec, ...], params: Mapping[str, str]) -> Reads:
    """What a task with these parameters reads; everything where it is of no kind of work."""
    spec = next((work for work in works if work.name == params.get("work")), None)
    if spec is None or spec.reads is None:
        return Reads()
    return _reads_of(spec.reads, frozenset(work.name for work in works))


def unnumbered(value: Any) -> Any:
    """The same without line numbers, so that what was only moved compares equal."""
    if isinstance(value, Struct):
        changed = {
            name: 0 if name == "line" else unnumbered(getattr(value, name))
            for name in value.__struct_fields__
        }
        return replace(value, **changed)
    if isinstance(value, tuple):
        return tuple(unnumbered(item) for item in value)  # pyright: ignore[reportUnknownVariableType] - any field
    return value
