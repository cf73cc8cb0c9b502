"""Imports what every run of tests needs, once, before any run is forked.

Most of what a run of few tests costs is pytest's own start: its plugins, each of which it rewrites as it imports it.
"""

from __future__ import annotations

import contextlib
import importlib
from importlib.metadata import entry_points

__all__ = ["ARGUMENTS", "warm_up"]

ARGUMENTS = (
    "-q",
    *("-p", "no:cacheprovider", "-p", "no:cov", "-p", "no:randomly"),
    # That plugins stand here already would be an error in a project that makes warnings errors.
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)
LIBRARIES = (
    "fastapi",
    "fastapi.testclient",
    "sqlalchemy.orm",
    "pydantic",
    "pytest",
    "_pytest.assertion.rewrite",
)
LEFT_OUT = frozenset({"pytest_cov", "randomly"})
"""Plugins that no run loads."""


def warm_up(*others: str) -> None:
    """Import the libraries of the service, these others, and pytest with its plugins, as far as they are there."""
    for library in (*LIBRARIES, *others):
        with contextlib.suppress(ImportError):
            importlib.import_module(library)
    with contextlib.suppress(ImportError):
        for name in importlib.import_module("_pytest.config").default_plugins:
            importlib.import_module(f"_pytest.{name}")
    for plugin in entry_points(group="pytest11"):
        if plugin.name not in LEFT_OUT:
            with contextlib.suppress(Exception):  # a run that needs it will say what is wrong with it
                plugin.load()
