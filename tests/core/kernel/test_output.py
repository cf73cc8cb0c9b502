"""How wide commands print."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.table import Table

from factory_core.kernel.commands.output import open_console

LONG = "word " * 40


def printed(place: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many lines a row with a long text takes in a file."""
    table = Table("text", box=None, show_header=False)
    table.add_row(LONG)
    with place.open("w") as file:
        monkeypatch.setattr("sys.stdout", file)
        open_console().print(table)
    return len(place.read_text().splitlines())


def test_a_row_stays_on_its_line_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert printed(tmp_path / "out", monkeypatch) == 1


def test_columns_decides_where_it_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    assert printed(tmp_path / "out", monkeypatch) > 1
