"""The agent that improves code that works, and keeps an improvement only if it still works."""

from __future__ import annotations

import json
from collections.abc import Sequence

from factory_core.contracts.agent import Finding, FindingLevel, Outcome, Tools, Work
from factory_core.contracts.files import FileRef, Produced
from factory_core.contracts.sandbox import Limits

from .files import differs
from .gates.trials import SECRET

__all__ = ["CODEMODS", "Optimizer"]

CODEMODS = ("UP", "SIM", "C4", "PIE", "PERF", "FURB", "RET", "RUF", "FLY", "I", "F")
"""Families of ruff's rules whose safe corrections are made: newer syntax, fewer branches, no needless copies."""
LEVELS = (("safe", ()), ("bolder", ("--unsafe-fixes",)))
"""Corrections that keep the meaning, and such as may change it: tests decide."""
LIMITS = Limits(wall_seconds=600, cpu_seconds=600)
SCRIPT = f"""
import json, subprocess, sys
ruff = [sys.executable, "-m", "ruff"]
rules = ["--quiet", "--no-cache", "--exit-zero", "--select", "{",".join(CODEMODS)}"]

def faults():
    found = subprocess.run([*ruff, "check", *rules, "--output-format", "json", "."], check=True, capture_output=True)
    return len(json.loads(found.stdout or "[]"))

before = faults()
if before:
    subprocess.run([*ruff, "check", *rules, "--fix", *sys.argv[1:], "."], check=True, capture_output=True)
    subprocess.run([*ruff, "format", "--quiet", "--no-cache", "."], check=True, capture_output=True)
print(json.dumps([before, faults() if before else 0]))
"""


class Optimizer:
    """Runs codemods over the application and keeps what they correct when there is less to correct afterwards and the tests
    pass. A round takes one level, the safest that has something to offer."""

    name = "optimizer"
    version = "2"

    async def run(self, work: Work, tools: Tools) -> Outcome:
        """The files that got better, with what was measured; none when nothing did, or when a test then failed."""
        sources = tuple(
            ref for ref in work.inputs if ref.path.startswith("app/") and ref.path.endswith(".py")
        )
        settings = tuple(ref for ref in work.inputs if ref.path == "pyproject.toml")
        told: list[str] = []
        for level, words in LEVELS:
            result, made = await tools.run(
                ("python", "-c", SCRIPT, *words), (*settings, *sources), collect=("app/**/*.py",)
            )
            if result.exit_code != 0:
                return _told("The codemods did not run; nothing is changed.", FindingLevel.WARNING)
            before, after = _measured(result.stdout)
            if before == 0:
                break
            changed = await _changed(made, sources, tools) if after < before else ()
            if not changed:
                continue
            paths = ", ".join(file.path for file in changed)
            if await _still_passes(work.inputs, changed, tools):
                said = (
                    f"Improved {paths}: {before} faults by ruff's rules became {after} ({level} corrections)."
                )
                return Outcome(
                    files=changed,
                    findings=_told(said).findings,
                    measures={"faults by ruff's rules": (before, after)},
                )
            told.append(f"Improving {paths} makes a test fail; nothing is changed.")
        return _told(" ".join(told) or "There is nothing to improve.")


def _measured(output: bytes) -> tuple[int, int]:
    """Faults before and after, which the script's last line tells."""
    before, after = json.loads(output.strip().splitlines()[-1])
    return int(before), int(after)


async def _changed(
    made: Sequence[Produced], sources: Sequence[FileRef], tools: Tools
) -> tuple[Produced, ...]:
    before = {ref.path: ref for ref in sources}
    return tuple(
        [file for file in made if file.path in before and await differs(file, before[file.path], tools)]
    )


async def _still_passes(inputs: Sequence[FileRef], changed: Sequence[Produced], tools: Tools) -> bool:
    new = {file.path for file in changed}
    files = (*(ref for ref in inputs if ref.path not in new), *changed)
    command = ("python", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:cov")
    result, _ = await tools.run(command, files, limits=LIMITS, environment=SECRET)
    return result.exit_code == 0


def _told(message: str, level: FindingLevel = FindingLevel.INFO) -> Outcome:
    return Outcome(findings=(Finding(level=level, code="optimizer", message=message),))
