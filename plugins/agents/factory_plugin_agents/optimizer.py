"""The agent that improves code that works, and keeps an improvement only if it still works."""

from __future__ import annotations

from collections.abc import Sequence

from factory_core.contracts.agent import Finding, FindingLevel, Outcome, Tools, Work
from factory_core.contracts.files import FileRef, Produced
from factory_core.contracts.sandbox import Limits

from .agents import differs
from .gates.trials import SECRET

__all__ = ["CODEMODS", "Optimizer"]

CODEMODS = ("UP", "SIM", "C4", "PIE", "PERF", "FURB", "RET", "RUF", "FLY", "I", "F")
"""Families of ruff's rules whose safe corrections are made: newer syntax, fewer branches, no needless copies."""
LIMITS = Limits(wall_seconds=600, cpu_seconds=600)
SCRIPT = f"""
import subprocess, sys
ruff = [sys.executable, "-m", "ruff"]
quiet = ["--quiet", "--no-cache"]
subprocess.run([*ruff, "check", *quiet, "--select", "{",".join(CODEMODS)}", "--fix", "--exit-zero", "."], check=True)
subprocess.run([*ruff, "format", *quiet, "."], check=True)
"""


class Optimizer:
    """Runs formatter and codemods over the application, then its tests over the result."""

    name = "optimizer"
    version = "1"

    async def run(self, work: Work, tools: Tools) -> Outcome:
        """The files that got better; none when nothing did, or when a test then failed."""
        sources = tuple(
            ref for ref in work.inputs if ref.path.startswith("app/") and ref.path.endswith(".py")
        )
        settings = tuple(ref for ref in work.inputs if ref.path == "pyproject.toml")
        result, made = await tools.run(
            ("python", "-c", SCRIPT), (*settings, *sources), collect=("app/**/*.py",)
        )
        if result.exit_code != 0:
            return _told("The codemods did not run; nothing is changed.", FindingLevel.WARNING)
        before = {ref.path: ref for ref in sources}
        changed = [
            file for file in made if file.path in before and await differs(file, before[file.path], tools)
        ]
        if not changed:
            return _told("There is nothing to improve.")
        paths = ", ".join(file.path for file in changed)
        if not await _still_passes(work.inputs, changed, tools):
            return _told(f"Improving {paths} makes a test fail; nothing is changed.")
        return Outcome(files=tuple(changed), findings=_told(f"Improved {paths}.").findings)


async def _still_passes(inputs: Sequence[FileRef], changed: Sequence[Produced], tools: Tools) -> bool:
    new = {file.path for file in changed}
    files = (*(ref for ref in inputs if ref.path not in new), *changed)
    command = ("python", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:cov")
    result, _ = await tools.run(command, files, limits=LIMITS, environment=SECRET)
    return result.exit_code == 0


def _told(message: str, level: FindingLevel = FindingLevel.INFO) -> Outcome:
    return Outcome(findings=(Finding(level=level, code="optimizer", message=message),))
