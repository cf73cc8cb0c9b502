"""A pytest plugin: writes how every test ended to ``.gate/report.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["pytest_collectreport", "pytest_itemcollected", "pytest_runtest_logreport", "pytest_sessionfinish"]

REPORT = Path("/work/.gate/report.json")
LONGEST = 4000

_tests: dict[str, dict[str, Any]] = {}
_broken: list[str] = []


def pytest_itemcollected(item: Any) -> None:
    """A test that is collected and never ends counts as not run."""
    _tests[item.nodeid] = {"node": item.nodeid, "outcome": "none", "detail": ""}


def pytest_collectreport(report: Any) -> None:
    """A file that cannot be imported is no file without tests."""
    if report.failed:
        _broken.append(f"{report.nodeid}: {str(report.longrepr)[-LONGEST:]}")


def pytest_runtest_logreport(report: Any) -> None:
    """A test passed when its call did and nothing before or after it failed."""
    test = _tests[report.nodeid]
    if report.failed or report.skipped or (report.when == "call" and test["outcome"] == "none"):
        strange = "xfailed" if hasattr(report, "wasxfail") else report.outcome
        test["outcome"] = strange if test["outcome"] in ("none", "passed") else test["outcome"]
        test["detail"] = str(report.longrepr)[-LONGEST:] if report.longrepr else test["detail"]


def pytest_sessionfinish() -> None:
    """Hand the results over."""
    REPORT.write_text(json.dumps({"tests": list(_tests.values()), "broken": _broken}))
