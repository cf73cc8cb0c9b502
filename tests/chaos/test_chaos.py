"""A short run of the chaos harness. The long one, and one over each planted fault, is ``make chaos``."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

FAULTS = runpy.run_path(str(Path(__file__).with_name("mutants.py")))
SQL = Path(__file__).parents[2] / "migrations/factory_migrations/core/sql/v2"
PROGRAM = Path(__file__).with_name("run.py")


def test_nothing_is_lost_doubled_or_invented_while_everything_breaks() -> None:
    command = [sys.executable, str(PROGRAM), "--seed", "20", "--builds", "8", "--faults", "14", "--quick"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"^  faults +14$", ran.stdout, re.MULTILINE)


@pytest.mark.parametrize("name", FAULTS["SQL"])
def test_a_fault_to_be_planted_is_still_spelt_as_the_engine_is(name: str) -> None:
    _, rule, _ = FAULTS["SQL"][name]
    assert sum(file.read_text().count(rule) for file in SQL.glob("*.sql")) == 1
    assert FAULTS["SIGNS"][name]


def test_an_engine_without_its_order_is_found_out() -> None:
    command = [sys.executable, str(PROGRAM), "--seed", "20", "--builds", "3", "--faults", "0", "--quick"]
    ran = subprocess.run(
        [*command, "--mutant", "no ready condition"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "VIOLATION A-4" in ran.stdout
