"""All of ``make chaos``: the long run must be green, a run over each planted fault red, and four hosts share the work.

``python tests/chaos/proof.py [--seed N]``; writes ``.bench/chaos.json``.
"""

from __future__ import annotations

import argparse
import json
import secrets
import subprocess
import sys
import time
from pathlib import Path

import mutants

HERE = Path(__file__).parent
FIGURES = HERE.parents[1] / ".bench" / "chaos.json"
LONG = ("--builds", "100", "--faults", "200")
BRIEF = ("--builds", "14", "--faults", "24")
TRIES = 3
"""Seeds that a planted fault is looked for with."""


def run(*words: str, program: str = "run.py") -> subprocess.CompletedProcess[str]:
    """One run in a process of its own."""
    command = [sys.executable, str(HERE / program), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def judge_mutants(seed: int) -> dict[str, float]:
    """Whether each planted fault is found, and the same run without any is green."""
    caught: dict[str, float] = {}
    for name in ("", *mutants.ALL):
        # What a fault needs to show may not come about in one short run; what is green must be so at once.
        tries = (judge(name, seed + number) for number in range(TRIES if name else 1))
        caught[f"mutant.{name.replace(' ', '_') or 'none'}"] = float(any(tries))
    return caught


def judge(name: str, seed: int) -> bool:
    """Whether a run with this fault is red for what the fault does, not for a harness that broke or a machine that is
    slow; or green without any."""
    ran = run("--seed", str(seed), *BRIEF, "--mutant", name)
    lines = ran.stdout.splitlines()
    found = sorted(line.split()[0] for line in lines if line.startswith("  A-") and " violated " in line)
    good = bool(mutants.SIGNS[name].intersection(found)) if name else ran.returncode == 0
    said = f"{name or 'nothing planted'}, seed {seed}: {', '.join(found) or 'green'}"
    print(f"{'ok ' if good else 'BAD'} {said}", flush=True)
    if not good:
        print(ran.stdout[-3000:], ran.stderr[-3000:])
    return good


def judge_hosts() -> bool:
    """Whether four hosts share the work, and one that is cut off loses it in time."""
    ran = run(program="hosts.py")
    print(f"{'BAD' if ran.returncode else 'ok '} four hosts\n{ran.stdout}{ran.stderr[-2000:]}", flush=True)
    return ran.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=None)
    seed = parser.parse_args().seed
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    began = time.monotonic()
    ran = run("--seed", str(seed), *LONG, "--figures", str(FIGURES))
    print(ran.stdout, ran.stderr, flush=True)
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    figures |= judge_mutants(seed)
    figures["four_hosts"] = float(judge_hosts())
    FIGURES.parent.mkdir(exist_ok=True)
    FIGURES.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")
    judged = [name for name in figures if name.startswith(("mutant.", "four_hosts"))]
    bad = [name for name in judged if not figures[name]]
    print(
        f"{time.monotonic() - began:.0f} s; {'all as it must be' if not (bad or ran.returncode) else 'RED'}"
    )
    return bool(bad or ran.returncode)


if __name__ == "__main__":
    sys.exit(main())
