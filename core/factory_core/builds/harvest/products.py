"""What the spec asks of the product beyond its entities, compared with what came out."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from packaging.version import Version

from factory_core.planning.slugs import words

from .evidence import Evidence
from .report import DeliverableRow, NotBuiltRow, TargetRow, TechnologyRow

__all__ = ["deliverable_rows", "not_built_rows", "target_rows", "unmet_technology"]

_NUMBER = re.compile(r"(\d+(?:\.\d+)*)(\s*\+)?")
_CODE = frozenset({".py", ".js", ".ts", ".css", ".html", ".sh", ".toml"})
_SMALL_WORDS = frozenset({"a", "an", "and", "in", "of", "or", "the", "to", "built"})


def unmet_technology(evidence: Evidence) -> tuple[TechnologyRow, ...]:
    """The technologies the template does not have, or has in another version than asked for."""
    offered = {_name(name): version for name, version in evidence.manifest.technology.items()}
    return tuple(
        TechnologyRow(name=name, wanted=wanted, found=offered.get(_name(name), ""))
        for name, wanted in evidence.blueprint.technology.items()
        if _name(name) not in offered or not _suits(wanted, offered[_name(name)])
    )


def _name(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", name.lower())


def _suits(wanted: str, found: str) -> bool:
    """Whether a version is the one asked for (``2.0`` takes any 2.0.x), or newer where the wish ends in ``+``. A wish
    without a number, and a template that works with any version, suit always."""
    wish, have = _NUMBER.search(wanted), _NUMBER.search(found)
    if wish is None or have is None:
        return True
    if wish[2]:
        return Version(have[1]) >= Version(wish[1])
    asked = wish[1].split(".")
    return have[1].split(".")[: len(asked)] == asked


def deliverable_rows(evidence: Evidence) -> tuple[DeliverableRow, ...]:
    """Each file the deliverables name, by its path or by its name in any folder; ``*`` matches."""
    paths = sorted(file.path for made in evidence.contributions for file in made.files)
    rows: list[DeliverableRow] = []
    for name in evidence.blueprint.deliverables:
        found = [path for path in paths if fnmatchcase(path, name)]
        found += [path for path in paths if fnmatchcase(PurePosixPath(path).name, name)]
        rows.append(DeliverableRow(name=name, present=bool(found), path=found[0] if found else ""))
    return tuple(rows)


def not_built_rows(evidence: Evidence) -> tuple[NotBuiltRow, ...]:
    """Each thing not to build, with whatever carries all of its words; what stands in brackets is its reason."""
    names = [
        *(task.id for task in evidence.plan.tasks),
        *(file.path for made in evidence.contributions for file in made.files),
        *evidence.manifest.technology,
    ]
    rows: list[NotBuiltRow] = []
    for text in evidence.blueprint.do_not_build:
        unwanted = words(re.sub(r"\(.*?\)", " ", text)) - _SMALL_WORDS
        found = tuple(dict.fromkeys(name for name in names if unwanted and unwanted <= words(name)))
        rows.append(NotBuiltRow(text=text, respected=not found, found=found))
    return tuple(rows)


def target_rows(evidence: Evidence) -> tuple[TargetRow, ...]:
    """Lines of code, test coverage and number of agents beside what the spec aims at."""
    rows: list[TargetRow] = []
    constraints = evidence.blueprint.constraints
    if constraints.target_loc is not None:
        low, high = constraints.target_loc
        rows.append(_in_range("lines of code", low, high, _lines_of_code(evidence)))
    measured = [gate for gate in evidence.gates if "coverage" in words(gate.name)]
    for gate in measured[:1]:
        number = _NUMBER.search(gate.figure)
        short = constraints.min_test_coverage - float(number[1]) if number else 0.0
        wanted = f">= {constraints.min_test_coverage} %"
        gap = f"{short:.1f} % short" if short > 0 else ""
        rows.append(TargetRow(name="test coverage", wanted=wanted, figure=gate.figure, gap=gap))
    asked = [team for team in evidence.plan.teams if team.asked_high]
    if asked:
        low, high = sum(team.asked_low for team in asked), sum(team.asked_high for team in asked)
        rows.append(_in_range("agents", low, high, evidence.plan.quote.agents))
    return tuple(rows)


def _in_range(name: str, low: int, high: int, figure: int) -> TargetRow:
    gap = f"{low - figure} short" if figure < low else f"{figure - high} over" if figure > high else ""
    wanted = str(low) if low == high else f"{low} to {high}"
    return TargetRow(name=name, wanted=wanted, figure=str(figure), gap=gap)


def _lines_of_code(evidence: Evidence) -> int:
    """Lines that are not blank, of files with code."""
    files = (file for made in evidence.contributions for file in made.files)
    code = (file.content for file in files if PurePosixPath(file.path).suffix in _CODE)
    return sum(bool(line.strip()) for content in code for line in content.splitlines())
