"""``make verify`` ends with what it could not prove."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = """
import pytest

def test_here():
    pass

@pytest.mark.parametrize("n", range({count}))
def test_elsewhere(n):
    pytest.skip("control groups cannot be made here")
"""


def told(folder: Path, *, count: int) -> str:
    (folder / "test_groups.py").write_text(TESTS.format(count=count))
    report = folder / "verify.xml"
    pytest = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={report}")
    subprocess.run([*pytest, str(folder)], cwd=folder, check=True, capture_output=True)
    tool = (sys.executable, str(ROOT / "tools" / "tell-skipped"), str(report))
    return subprocess.run(tool, check=True, capture_output=True, text=True).stdout


def test_what_was_skipped_is_told_with_its_reason(tmp_path: Path) -> None:
    said = told(tmp_path, count=3).splitlines()
    assert said[0] == "NOT PROVEN HERE: 3 tests were skipped."
    assert said[1] == "    3 test_groups: control groups cannot be made here"


def test_when_every_test_ran_that_is_told(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "def pytest_collection_modifyitems(items):\n    del items[1:]\n", encoding="utf-8"
    )
    assert told(tmp_path, count=1) == "Every test ran.\n"


def test_verify_ends_with_it() -> None:
    _, _, recipe = (ROOT / "Makefile").read_text().partition("\nverify: ")
    last = recipe.split("\n\n")[0].splitlines()[-1]
    assert last == "\t@$(BIN)/python tools/tell-skipped .pytest_cache/verify.xml"
    assert "--junit-xml=.pytest_cache/verify.xml" in recipe.split("\n\n")[0]
