"""All measurements of ``make bench``, one after the other: start times, a build by stages, the engine beside its peers,
how it shares slots while one organisation floods.

Each writes ``.bench/<name>.json``, flat ``{"figure.name": number}``. Times are of this machine and this run; quote ratios.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from factory_core.kernel import supervisor

ROOT = Path(__file__).parents[2]
ROUNDS = "3"
STUDIO = [sys.executable, "-m", "factory_core.kernel.cli"]
EXAMPLE = "taskboard"
ENTITY, FIELD = "  Milestone: {name: text(1..40)}\n", "\n    note: text(1..200)?"
EDITS = {
    EXAMPLE: {
        "one_field": ("archived: bool = false", f"archived: bool = false{FIELD}"),
        "one_entity": ("  Label: {", f"{ENTITY}  Label: {{"),
    },
    "library": {
        "one_field": ("    pages: int(1..10000)?", f"    pages: int(1..10000)?{FIELD}"),
        "one_entity": ("  Genre: {", f"{ENTITY}  Genre: {{"),
    },
    "warehouse-40": {
        "one_field": ("Product: {sku", "Product: {note: text(1..200)?, sku"),
        "one_edge_field": ("Contact: {supplier", "Contact: {note: text(1..200)?, supplier"),
        "one_entity": ("  Yard: {", f"{ENTITY}  Yard: {{"),
    },
}
"""What takes the place of what: a field in an entity that others refer to, one in an entity that none refers to, and an
entity that none refers to."""


def timed(command: list[str], environment: dict[str, str], rounds: int) -> list[float]:
    """Wall-clock seconds of each of ``rounds`` runs, after one that is not counted."""
    seconds: list[float] = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        subprocess.run(
            command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        seconds.append(time.perf_counter() - began)
    return seconds[1:]


def keep(name: str, figures: dict[str, float]) -> None:
    """Print and write them."""
    for figure, value in figures.items():
        print(f"{name + '.' + figure:48s} {value:10.3f}")
    folder = ROOT / ".bench"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")


def measure_start(home: Path) -> dict[str, float]:
    """How long a person waits for the command line and for a studio."""
    environment = {**os.environ, "FACTORY_HOME": str(home)}
    python = [sys.executable, "-c"]
    figures = {
        "python.pass": statistics.median(timed([*python, "pass"], environment, 7)),
        "import.hooks": statistics.median(timed([*python, "import factory_core.hooks"], environment, 7)),
        "studio.help": statistics.median(timed([*STUDIO, "--help"], environment, 7)),
        "studio.check": statistics.median(
            timed([*STUDIO, "check", str(ROOT / "examples/taskboard.yaml")], environment, 5)
        ),
    }
    for name in ("attach.first_start", "attach.later_start"):
        began = time.perf_counter()
        subprocess.run([*STUDIO, "builds", "list"], env=environment, check=True, stdout=subprocess.DEVNULL)
        figures[name] = time.perf_counter() - began
        supervisor.stop(home)
    return figures


def measure_build(home: Path, out: Path) -> dict[str, float]:
    """Some examples: first with everything to do, then with all of it remembered, then with one edit after the other."""
    environment = {**os.environ, "FACTORY_HOME": str(home)}
    subprocess.run([*STUDIO, "toolchain", "fetch"], env=environment, check=True, stdout=subprocess.DEVNULL)
    figures: dict[str, float] = {}
    for example, edits in EDITS.items():
        for kind, spec in specs(example, edits).items():
            path = out.with_suffix(".yaml")
            path.write_text(spec)
            began = time.perf_counter()
            build = [*STUDIO, "build", str(path), "--out", str(out)]
            subprocess.run(build, env=environment, check=True, stdout=subprocess.DEVNULL)
            name, full = f"{example}.{kind}", f"{example}.full.seconds"
            figures[f"{name}.seconds"] = time.perf_counter() - began
            report = (out / "BUILD_REPORT.json").read_bytes()
            figures[f"{name}.tasks"] = tasks_run(report)
            if kind != "full":
                figures[f"{name}.ratio"] = figures[f"{name}.seconds"] / figures[full]
            elif example == EXAMPLE:
                figures.update(stages(report))
    supervisor.stop(home)
    return figures


def specs(example: str, edits: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """A specification as it is, twice, and with each of the edits. Each edit is one that was not built before."""
    spec = (ROOT / f"examples/{example}.yaml").read_text()
    found = {"full": spec, "remembered": spec}
    for kind, (old, new) in edits.items():
        if spec.count(old) != 1:
            raise SystemExit(
                f"examples/{example}.yaml was changed: change the edits of tests/load/bench.py too"
            )
        found[kind] = spec.replace(old, new)
    return found


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


def run_parts(parts: Sequence[Sequence[str]]) -> list[str]:
    """Run each of the scripts, whatever became of those before it; the names of those that failed or missed a bar."""
    return [
        Path(script).name
        for script, *arguments in parts
        if subprocess.run([sys.executable, script, *arguments], cwd=ROOT, check=False).returncode
    ]


def main() -> None:
    """Everything; fails at the end if a part did."""
    print(
        f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    with tempfile.TemporaryDirectory(prefix="factory-bench-") as place:
        keep("start", measure_start(Path(place, "home")))
        keep("build", measure_build(Path(place, "home"), Path(place, "out")))
    folder = str(ROOT / "tests/load")
    if bad := run_parts([[f"{folder}/bench_engine.py", ROUNDS], [f"{folder}/fairness.py"]]):
        raise SystemExit(f"MISSED: {', '.join(bad)}")


if __name__ == "__main__":
    main()
