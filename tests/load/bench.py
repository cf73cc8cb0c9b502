"""All measurements of ``make bench``, one after the other: start times, builds and what a rebuild takes of them, the engine
beside its peers, how it shares slots while one organisation floods.

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
from collections.abc import Sequence
from pathlib import Path

from factory_core.kernel import supervisor

ROOT = Path(__file__).parents[2]
ROUNDS = "3"
STUDIO = [sys.executable, "-m", "factory_core.kernel.cli"]


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
    folder = str(ROOT / "tests/load")
    parts = [[f"{folder}/rebuild.py"], [f"{folder}/bench_engine.py", ROUNDS], [f"{folder}/fairness.py"]]
    if bad := run_parts(parts):
        raise SystemExit(f"MISSED: {', '.join(bad)}")


if __name__ == "__main__":
    main()
