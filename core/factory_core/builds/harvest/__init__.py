"""From finished tasks to what a build hands out: report, repository, archives."""

from __future__ import annotations

from .compose import make_report, with_run
from .contribution import Contribution, TwoOwners
from .evidence import Evidence
from .markdown import report_markdown
from .report import BuildReport, FailureRow, RunFacts, report_json, report_schema
from .verify import Verification, verify_tree

__all__ = [
    "BuildReport",
    "Contribution",
    "Evidence",
    "FailureRow",
    "RunFacts",
    "TwoOwners",
    "Verification",
    "make_report",
    "report_json",
    "report_markdown",
    "report_schema",
    "verify_tree",
    "with_run",
]
