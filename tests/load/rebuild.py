"""What a build takes, by stages, and what a rebuild takes of it after one edit, in projects of several sizes.

Every project is built in a home of its own, whose services run already: a full build finds nothing that another project's
left. Prints and writes ``.bench/rebuild.json``; then fails if one entity more costs more than ``BAR`` in a project of at
least ``LARGE`` entities (docs/adr/0007).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import NamedTuple

from factory_core.kernel import supervisor

ROOT = Path(__file__).parents[2]
STUDIO = [sys.executable, "-m", "factory_core.kernel.cli"]
BAR, LARGE = 0.25, 20
ENTITY, FIELD = "  Milestone: {name: text(1..40)}\n", "\n    note: text(1..200)?"
OTHER_NAMES = ("Checkpoint", "Waypoint")
"""What is added instead of Milestone, each to the specification as it was, for two samples more."""


class Project(NamedTuple):
    """An example and its edits: a field in an entity that others refer to, one in an entity that none refers to, and an
    entity that none refers to. Each is what takes the place of what."""

    example: str
    edits: dict[str, tuple[str, str]]
    first: int = 0
    """Of its entities only so many are kept, and nothing else of the specification; 0 = all of it."""

    @property
    def name(self) -> str:
        return f"{self.example}.first{self.first}" if self.first else self.example


MORE_PLACES = {"one_entity": ("  Shelf: {", f"{ENTITY}  Shelf: {{")}
PROJECTS = (
    Project(
        "taskboard",
        {
            "one_field": ("archived: bool = false", f"archived: bool = false{FIELD}"),
            "one_entity": ("  Label: {", f"{ENTITY}  Label: {{"),
        },
    ),
    Project(
        "library",
        {
            "one_field": ("    pages: int(1..10000)?", f"    pages: int(1..10000)?{FIELD}"),
            "one_entity": ("  Genre: {", f"{ENTITY}  Genre: {{"),
        },
    ),
    Project("warehouse-40", MORE_PLACES, first=8),
    Project("warehouse-40", MORE_PLACES, first=20),
    Project(
        "warehouse-40",
        {
            "one_field": ("Product: {sku", "Product: {note: text(1..200)?, sku"),
            "one_edge_field": ("Contact: {supplier", "Contact: {note: text(1..200)?, supplier"),
            "one_entity": ("  Yard: {", f"{ENTITY}  Yard: {{"),
        },
    ),
)


def measure(project: Project, place: Path) -> dict[str, float]:
    """First with everything to do, then with all of it remembered, then with one edit after the other."""
    home, out = place / "home", place / "out"
    environment = {**os.environ, "FACTORY_HOME": str(home)}
    figures = {f"{project.name}.entities": float(len(entities(specs(project)["full"])))}
    try:
        for ready in (("toolchain", "fetch"), ("builds", "list")):
            subprocess.run([*STUDIO, *ready], env=environment, check=True, stdout=subprocess.DEVNULL)
        for kind, spec in specs(project).items():
            path = out.with_suffix(".yaml")
            path.write_text(spec)
            began = time.perf_counter()
            build = [*STUDIO, "build", str(path), "--out", str(out)]
            subprocess.run(build, env=environment, check=True, stdout=subprocess.DEVNULL)
            name, full = f"{project.name}.{kind}", f"{project.name}.full.seconds"
            figures[f"{name}.seconds"] = time.perf_counter() - began
            report = (out / "BUILD_REPORT.json").read_bytes()
            figures[f"{name}.tasks"] = tasks_run(report)
            if kind != "full":
                figures[f"{name}.ratio"] = figures[f"{name}.seconds"] / figures[full]
            elif project == PROJECTS[0]:
                figures.update(stages(report))
    finally:
        supervisor.stop(home)
    samples = [f"{project.name}.{kind}.ratio" for kind in ("one_entity", *map(sample, OTHER_NAMES))]
    figures[f"{project.name}.one_entity.median"] = median(figures[name] for name in samples)
    return figures


def specs(project: Project) -> dict[str, str]:
    """The specification as it is, twice, and with each of the edits. Each edit is one that was not built before."""
    spec = (ROOT / f"examples/{project.example}.yaml").read_text()
    if project.first:
        start = spec[: spec.index("entities:\n")].replace("name: ", f"name: First {project.first} of ", 1)
        spec = "\n".join([f"{start}entities:", *entities(spec)[: project.first], ""])
    found = {"full": spec, "remembered": spec}
    for kind, (old, new) in project.edits.items():
        if spec.count(old) != 1:
            raise SystemExit(
                f"examples/{project.example}.yaml was changed: change the edits of {__file__} too"
            )
        found[kind] = spec.replace(old, new)
    for name in OTHER_NAMES:
        found[sample(name)] = found["one_entity"].replace("Milestone", name)
    return found


def sample(name: str) -> str:
    """What adding an entity of this name is called."""
    return f"one_entity.{name}"


def entities(spec: str) -> list[str]:
    """The lines that begin one."""
    section = spec.split("entities:\n")[1].split("\n")
    inside = section[: next((n for n, line in enumerate(section) if line and line[0].isalpha()), None)]
    return [line for line in inside if line.startswith("  ") and line[2:3].isalpha()]


def tasks_run(report: bytes) -> float:
    """How many tasks an agent did, rather than the memo."""
    run = json.loads(report)["run"]
    remembered = {row["task"] for row in run["reused"] if not row["pieces"]}
    return float(len(run["task_seconds"].keys() - remembered))


def stages(report: bytes) -> dict[str, float]:
    """Seconds of agents' work by kind of work, as the report tells them."""
    sums: dict[str, float] = defaultdict(float)
    for task, seconds in json.loads(report)["run"]["task_seconds"].items():
        sums[f"work.{task.split('/')[0]}.seconds"] += seconds
    return dict(sorted(sums.items(), key=lambda pair: -pair[1]))


def missed(figures: dict[str, float]) -> list[str]:
    """The projects in which one entity more costs too much."""
    names = [project.name for project in PROJECTS if figures[f"{project.name}.entities"] >= LARGE]
    return [name for name in names if figures[f"{name}.one_entity.median"] > BAR]


def main() -> None:
    """Measure and judge."""
    figures: dict[str, float] = {}
    for project in PROJECTS:
        with tempfile.TemporaryDirectory(prefix="factory-rebuild-") as place:
            figures.update(measure(project, Path(place)))
    for figure, value in figures.items():
        print(f"{figure:48s} {value:10.3f}")
    folder = ROOT / ".bench"
    folder.mkdir(exist_ok=True)
    (folder / "rebuild.json").write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")
    if names := missed(figures):
        raise SystemExit(f"MISSED: one entity costs more than {BAR:.0%} in {', '.join(names)}")


if __name__ == "__main__":
    main()
