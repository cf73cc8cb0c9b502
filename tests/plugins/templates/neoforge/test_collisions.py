"""What new constraints and migrations of one's own mean for the rows of a release."""

from __future__ import annotations

import runpy
from pathlib import Path

from msgspec.structs import replace

from factory_plugin_agents.revisions import earlier_in, migration_of, upgrade_findings
from factory_plugin_agents.schema import SCHEMA_FILE, written
from factory_plugin_agents.upgrades import Distinct, difference

READING = runpy.run_path(str(Path(__file__).with_name("reading.py")))
blueprint_of, tables_of, ONE, VERSIONS = (
    READING[name] for name in ("blueprint_of", "tables_of", "ONE", "VERSIONS")
)


def test_rows_that_a_new_default_makes_equal_are_told_with_a_way_that_can_be_gone() -> None:
    old = tables_of(f"{ONE}a: text")
    found = difference(old, tables_of(f"{ONE}a: text\n    b: int = 0\n    _unique: [[a, b]]"))
    (note,) = found.warnings
    assert note.message == (
        "Card.b is new, unique together with a, and has one value in all rows: rows that are equal in a stop the migration. "
        "Make it optional (?) and leave the default out: rows without a value never clash. Give them values in that "
        "release, and require it in the next."
    )
    (reason,) = (step.reason for step in found.steps if isinstance(step, Distinct))
    assert reason.startswith("Rows of cards are equal in a and b, which is to be unique: change a first, or ")
    then = tables_of(f"{ONE}a: text\n    b: int?\n    _unique: [[a, b]]")
    assert difference(old, then).warnings == []
    last = tables_of(f"{ONE}a: text\n    b: int = 0\n    _unique: [[a, b]]")
    assert difference(then, last).refusals == []
    moved = difference(
        tables_of(f"{ONE}a: text unique"), tables_of(f"{ONE}a: text unique\n    _path: /elsewhere")
    )
    assert moved.warnings == [], "rows that were apart stay apart under another name"


def test_going_back_to_a_unique_default_asks_for_one_row_at_most() -> None:
    before, after = (tables_of(f"{ONE}{fields}") for fields in ("a: text\n    b: text unique = x", "a: text"))
    back = difference(after, before, back=True)
    assert back.refusals == []
    (reason,) = (step.reason for step in back.steps if isinstance(step, Distinct))
    assert reason == (
        "Rows of cards would all have one value in b, which is to be unique: leave no more than one row first."
    )


def test_migrations_after_that_of_the_schema_are_named() -> None:
    schema = tables_of(f"{ONE}a: text")

    def warned(*chain: str) -> list[str]:
        files = {SCHEMA_FILE: written(replace(schema, revision="b")).encode()}
        downs = (None, *chain)
        for number, (revision, down) in enumerate(zip(chain, downs, strict=False)):
            files[f"{VERSIONS}{number}_{revision}.py"] = (
                f"revision = {revision!r}\ndown_revision = {down!r}\n".encode()
            )
        migration = migration_of(tables_of(f"{ONE}a: text\n    b: int?"), earlier_in(files))
        assert migration.down == chain[-1]
        found, failure = upgrade_findings(migration, blueprint_of(f"{ONE}a: text\n    b: int?"))
        assert not failure
        return [finding.message for finding in found if finding.code == "schema-older"]

    assert warned("a", "b") == []
    (message,) = warned("a", "b", "c", "d")
    assert f"older than {VERSIONS}2_c.py, {VERSIONS}3_d.py: the new migration follows" in message
