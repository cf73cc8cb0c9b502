"""How rendered Python is tidied: unused imports go, imports are sorted, and everything is formatted."""

from __future__ import annotations

__all__ = ["BOLD", "TIDY_SCRIPT"]

BOLD = "--unsafe-fixes"
"""Given to the script, also those corrections that might change what the code does. Whoever asks for them runs all checks
again."""

TIDY_SCRIPT = """
import subprocess, sys
ruff = [sys.executable, "-m", "ruff"]
subprocess.run([*ruff, "check", "--quiet", "--no-cache", "--fix", *sys.argv[1:], "--exit-zero", "."], check=True)
subprocess.run([*ruff, "format", "--quiet", "--no-cache", "."], check=True)
"""
"""Run by the toolchain's interpreter in the project's folder."""
