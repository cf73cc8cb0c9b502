"""Text to blueprint: the reader of specifications (``read``) and how its problems are shown."""

from __future__ import annotations

from .problems import Problem, Reading, Severity, describe_problems, render_problems
from .reader import read

__all__ = ["Problem", "Reading", "Severity", "describe_problems", "read", "render_problems"]
