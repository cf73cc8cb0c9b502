"""A second release: built onto the first, it takes over the first one's database."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("builds")]

FIRST = """
project: {name: Shelf}
entities:
  Shelf: {name: text(1..40) unique, room: text?}
  Book: {title: text(1..80), shelf: Shelf, pages: int = 1, worn: text?}
"""
SECOND = """
project: {name: Shelf}
entities:
  Shelf: {name: text(1..60), room: text = hall}
  Book:
    title: text(1..80) indexed
    shelf: Shelf cascade
    pages: decimal(6,1) = 1
    read: bool = false
    authors: many Author
  Author: {name: text unique}
"""
ONE = "0" * 31 + "1"
WITHOUT_VALUE = SECOND.replace("read: bool = false", "read: bool")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the two specifications are, and one that no rows can follow."""
    folder = tmp_path_factory.mktemp("shelf")
    for name, text in (("first", FIRST), ("second", SECOND), ("without-value", WITHOUT_VALUE)):
        (folder / f"{name}.yaml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def first(studio: Any, folder: Path) -> Any:
    built = studio.build(folder / "first.yaml", folder / "first")
    assert built.code == 0, built.output + built.errors
    return built


@pytest.fixture(scope="module")
def second(studio: Any, folder: Path, first: Any) -> Any:
    """The second release, onto the first by its id."""
    built = studio.build(folder / "second.yaml", folder / "second", "--onto", first.report["run"]["build"])
    assert built.code == 0, built.output + built.errors
    return built


def alembic(python: Path, project: Path, database: Path, *words: str) -> None:
    """Run its migrations, as ``make migrate`` does."""
    environment = {**os.environ, "DATABASE_URL": f"sqlite:///{database}"}
    done = subprocess.run(
        [python, "-m", "alembic", *words],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_migrates_the_database_of_the_first_and_the_rows_are_there(
    studio: Any, first: Any, second: Any, tmp_path: Path
) -> None:
    (python,) = (studio.home / "toolchains").glob("*/bin/python")
    database = tmp_path / "shelf.db"
    old, new = first.unpack(tmp_path / "old"), second.unpack(tmp_path / "new")
    alembic(python, old, database, "upgrade", "head")
    with sqlite3.connect(database) as rows:
        rows.execute(f"insert into shelves values ('{ONE}', '2020-01-01', '2020-01-01', 'Upper', null)")
        rows.execute(
            f"insert into books values ('{ONE}', '2020-01-01', '2020-01-01', 'Emma', '{ONE}', 300, 'a bit')"
        )
    alembic(python, new, database, "upgrade", "head")
    alembic(python, new, database, "check")
    with sqlite3.connect(database) as rows:
        assert rows.execute("select name, room from shelves").fetchall() == [("Upper", "hall")]
        (found,) = rows.execute("select title, shelf, pages, read from books").fetchall()
        assert found == ("Emma", ONE, "1003000", 0)
    migrations = Path("migrations/versions")
    kept = sorted(path.name for path in (old / migrations).glob("*.py"))
    made = sorted(path.name for path in (new / migrations).glob("*.py"))
    assert made[: len(kept)] == kept == ["0001_initial.py"]
    assert len(made) == 2
    assert (old / migrations / kept[0]).read_bytes() == (new / migrations / kept[0]).read_bytes()


def test_the_report_tells_the_release_and_what_is_lost(first: Any, second: Any) -> None:
    files = {row["path"]: row["sha256"] for row in first.report["files"]}
    release = {row["path"]: row["sha256"] for row in second.report["release"]}
    assert release == {
        path: files[path] for path in ("migrations/schema.json", "migrations/versions/0001_initial.py")
    }
    assert second.report["run"]["onto"] == first.report["run"]["build"]
    (lost,) = (row for row in second.report["findings"] if row["code"] == "data-dropped")
    assert lost["message"] == "Book.worn is dropped with what it holds."
    assert first.report["release"] == []


def test_it_has_the_bytes_of_a_build_onto_the_archive_in_a_new_home(
    make_studio: Callable[[], Any], folder: Path, first: Any, second: Any
) -> None:
    other = make_studio()
    try:
        again = other.build(folder / "second.yaml", folder / "again", "--onto", str(first.out))
        onto = ("--onto", str(first.archive))
        told = other.run("plan", folder / "second.yaml", "--since", "newest", "--json", *onto)
    finally:
        other.stop()
    assert again.code == 0, again.output + again.errors
    for kind in ("*.zip", "*.tar.gz"):
        (one,), (two,) = second.out.glob(kind), again.out.glob(kind)
        assert one.read_bytes() == two.read_bytes(), kind
    assert again.report["run"]["onto"] == ""
    assert json.loads(told.stdout)["again"] == ["deliver"]


def test_what_rows_have_no_value_for_is_refused_with_its_line(studio: Any, folder: Path, first: Any) -> None:
    onto = first.report["run"]["build"]
    refused = studio.build(folder / "without-value.yaml", folder / "refused", "--onto", onto)
    assert refused.code == 1
    (failure,) = (row for row in refused.report["failures"] if row["task"] == "analyse")
    assert failure["reason"] == (
        "line 9: Book.read is new and required, and rows of the release have no value for it. Give it a default (= VALUE) "
        "or make it optional (?)."
    )
