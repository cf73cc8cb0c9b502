"""A release that stands on an earlier one: what its migration does to tables that hold rows."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from factory_core.contracts.blueprint import Blueprint
from factory_core.contracts.template import TemplatePackage
from factory_plugin_agents.direct import render_project
from factory_plugin_agents.project import design_of
from factory_plugin_agents.revisions import ReleaseUnfit, earlier_in, migration_of, upgrade_findings
from factory_plugin_agents.schema import SCHEMA_FILE, read_schema, written
from factory_plugin_agents.upgrades import Distinct, difference

Read = Callable[[str], Blueprint]
Render = Callable[..., dict[str, bytes]]
Run = Callable[..., CompletedProcess[str]]

READING = runpy.run_path(str(Path(__file__).with_name("reading.py")))
blueprint_of, tables_of, ONE, VERSIONS = (
    READING[name] for name in ("blueprint_of", "tables_of", "ONE", "VERSIONS")
)


@pytest.fixture(scope="session")
def rendered(template: TemplatePackage, python: Path) -> Render:
    """The files of a release, onto another."""

    def rendered(blueprint: Blueprint, release: dict[str, bytes] | None = None) -> dict[str, bytes]:
        return render_project(blueprint, template, python=python, release=release)

    return rendered


@pytest.fixture(scope="session")
def shops(read_spec: Read, rendered: Render) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """A shop, and the next release: every kind of column is added, dropped, widened, narrowed, carried over."""
    first = rendered(read_spec("shop"))
    return first, rendered(read_spec("shop-next"), first)


@pytest.fixture(scope="session")
def shop(shops: tuple[dict[str, bytes], dict[str, bytes]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return put(shops[1], tmp_path_factory.mktemp("shop"))


def put(files: dict[str, bytes], folder: Path) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def told_of(before: str, after: str) -> tuple[set[str], str]:
    """The codes of what is told of the way from one specification to another, and why there is none."""
    release = earlier_in(
        {
            SCHEMA_FILE: written(replace(tables_of(before), revision="a")).encode(),
            f"{VERSIONS}1.py": b'revision = "a"\ndown_revision = None\n',
        }
    )
    found, failure = upgrade_findings(design_of(blueprint_of(after), release).migration, blueprint_of(after))
    return {finding.code for finding in found}, failure


def test_the_rows_of_a_shop_survive_on_sqlite_by_the_test_that_is_generated(shop: Path, run: Run) -> None:
    done = run(shop, "pytest", "-q", "-p", "no:cacheprovider", "tests/test_migrations.py")
    assert done.returncode == 0, done.stdout[-4000:]
    assert "2 passed" in done.stdout
    for arguments in (("check", "--no-cache", "."), ("format", "--no-cache", "--check", ".")):
        assert run(shop, "ruff", *arguments).returncode == 0


@pytest.mark.slow
def test_that_test_notices_a_migration_that_loses_rows_or_changes_them(shop: Path, run: Run) -> None:
    (path,) = (shop / VERSIONS).glob("0002_*.py")
    good = path.read_text()
    for wrong in (
        good.replace(
            '    """Go forward."""\n', '    """Go forward."""\n    op.execute("delete from tags")\n', 1
        ),
        good.replace("exact(plain(value, 8, 2), 10, 3)", "exact(plain(value, 8, 2) + 1, 10, 3)"),
        good.replace('"nobody"', '"somebody"', 1),
        good.replace("type_=sa.String(14)", "type_=sa.String(15)"),
    ):
        assert wrong != good
        path.write_text(wrong)
        done = run(
            shop, "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/test_migrations.py", "-k", "rows"
        )
        assert done.returncode == 1, wrong[:300]
    path.write_text(good)


INSERTS = """
import datetime, decimal, os, uuid
import sqlalchemy as sa
engine = sa.create_engine(os.environ["DATABASE_URL"])
tables = sa.MetaData()
tables.reflect(engine)
one = uuid.UUID(int=1)
dated = {"id": one, "created_at": sa.func.now(), "updated_at": sa.func.now()}
def add(table, **values):
    connection.execute(tables.tables[table].insert().values(**values))
with engine.begin() as connection:
    add("customers", **dated, mail="a@example.com", password="x", rank="high", invited_by=one)
    add("places", **dated, name="Here", host=one)
    add("products", **dated, title="Pen", code="p", price=decimal.Decimal("2.25"), stock=7, weight=0.5,
        since=datetime.date(2020, 2, 3), sold=True, page="https://example.com", colours=["red"], vanishing="soon")
    add("tags", **dated, name="good")
    add("tags", **dated | {"id": uuid.UUID(int=2)}, name="bad")
    add("product_tags_links", product_id=one, tag_id=one, position=0)
    add("order_lines", **dated, product=one, customer=one, amount=2)
"""
MENDS = """
import os
import sqlalchemy as sa
with sa.create_engine(os.environ["DATABASE_URL"]).begin() as connection:
    connection.execute(sa.text("update tags set label = 'some' where name = 'bad'"))
"""
READS = """
import os
import sqlalchemy as sa
with sa.create_engine(os.environ["DATABASE_URL"]).connect() as connection:
    print(*connection.execute(sa.text(
        "select nick, rank, price, stock, weight, date(since), ratio, sold, opens, colours, new, level, maker, amount, cost"
        " from lines join products on products.id = product join customers on customers.id = customer"
        " join product_tags_links on product_id = products.id")).one(), sep="|")
"""


def test_the_rows_of_a_shop_survive_on_postgresql(shop: Path, run: Run, python: Path, database: str) -> None:
    def done(*words: str) -> str:
        ended = run(shop, *words, DATABASE_URL=database, SECRET_KEY="x" * 32)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    (shop / "insert_rows.py").write_text(INSERTS)
    (shop / "mend_rows.py").write_text(MENDS)
    (shop / "read_rows.py").write_text(READS)
    done("alembic", "upgrade", "+1")
    done("insert_rows")
    stuck = run(shop, "alembic", "upgrade", "head", DATABASE_URL=database, SECRET_KEY="x" * 32)
    assert stuck.returncode == 1
    assert "Rows of tags are equal in label, which is to be unique: change them first." in stuck.stderr
    done("mend_rows")
    done("alembic", "upgrade", "head")
    done("alembic", "check")
    assert done("read_rows").strip() == (
        "nobody|high|2.250|7.0|0.5|2020-02-03|2.25|true|10:00:00|['red']|[]|b|None|2|0.00"
    )
    stuck = run(shop, "alembic", "downgrade", "-1", DATABASE_URL=database, SECRET_KEY="x" * 32)
    assert stuck.returncode == 1
    assert (
        "Product.vanishing has no default, so rows cannot get it back: empty products first." in stuck.stderr
    )
    assert "2.250" in done("read_rows"), "what was done before it is taken back"


def test_earlier_migrations_stay_byte_for_byte_and_the_next_one_follows_them(
    shops: tuple[dict[str, bytes], dict[str, bytes]], read_spec: Read, rendered: Render
) -> None:
    first, second = shops
    assert second[f"{VERSIONS}0001_initial.py"] == first[f"{VERSIONS}0001_initial.py"]
    again = rendered(read_spec("shop-next"), second)
    assert again == second | {"tests/test_migrations.py": again["tests/test_migrations.py"]}, (
        "no difference, no migration"
    )
    back = rendered(read_spec("shop"), second)
    heads = [re.findall(r'^(?:down_)?revision = "(\w+)"', text.decode(), re.M) for text in migrations(back)]
    assert [one[-1] for one in heads[1:]] == [one[0] for one in heads[:-1]]
    assert len(heads) == 3
    assert rendered(read_spec("shop"), second) == back


def migrations(files: dict[str, bytes]) -> Iterator[bytes]:
    return (files[path] for path in sorted(files) if path.startswith(VERSIONS))


@pytest.mark.parametrize(
    ("before", "after", "codes", "reason"),
    [
        ("a: text", "a: text\n    b: int", {"value-missing"}, "line 5: Card.b is new and required"),
        ("a: text", "a: text\n    b: text secret", {"value-missing"}, "line 5: Card.b is a new secret"),
        ("a: text", "a: int", {"type-changed"}, "line 4: Card.a was text and is to be int"),
        ("a: json?", "a: list text", {"type-changed"}, "line 4: Card.a was json and is to be list text"),
        ("a: text", "a: text secret", {"type-changed"}, "line 4: Card.a was text and is to be hashed"),
        ("a: text\n    b: int?", "a: text", {"data-dropped"}, ""),
        ("a: text(0..9)", "a: text(0..5)", {"rows-refused"}, ""),
        ('a: "enum(x, y)"', 'a: "enum(x, z)"', {"rows-refused"}, ""),
        ("a: text?", "a: text", {"rows-refused"}, ""),
        ("a: text?", "a: text = x", set(), ""),
        ("a: text", "a: text\n    b: int?", set(), ""),
        ("a: text", "a: text\n    b: int = 3", set(), ""),
        ("a: text", "a: text\n  Box: {b: int}", set(), ""),
        ("a: text\n  Box: {b: int}", "a: text", {"data-dropped"}, ""),
        ("a: text\n  Box: {b: int}", "a: text\n    _path: /boxes", {"data-dropped"}, ""),
        (
            "a: text",
            "a: text\n    b: text unique = x",
            {"rows-equal"},
            "line 5: Card.b is new and unique, and all rows",
        ),
        (
            "a: text",
            "a: text\n    b: text? unique = x",
            {"rows-equal"},
            "line 5: Card.b is new and unique, and all rows",
        ),
        (
            "a: text",
            "a: text\n    b: datetime unique = now",
            {"rows-equal"},
            "line 5: Card.b is new and unique",
        ),
        (
            "a: text",
            "a: text\n    b: int = 0\n    c: int = 0\n    _unique: [[b, c]]",
            {"rows-equal"},
            "line 5: Card.b is new and unique together with c",
        ),
        ("a: text", "a: text\n    b: text? unique", set(), ""),
        ("a: text", "a: text\n    b: int = 0\n    _unique: [[a, b]]", {"rows-refused"}, ""),
        ("a: text", "a: text\n    b: int?\n    _unique: [[a, b]]", set(), ""),
        ("a: text unique", "a: text unique\n    b: int = 0\n    _unique: [[a, b]]", set(), ""),
        ("a: text", "a: text unique", {"rows-refused"}, ""),
        ("a: text? unique", "a: text unique = x", {"rows-refused"}, ""),
        ("a: int unique", "a: float unique", set(), ""),
    ],
)
def test_what_costs_data_is_told_and_what_cannot_be_done_is_refused(
    before: str, after: str, codes: set[str], reason: str
) -> None:
    found, failure = told_of(ONE + before, ONE + after)
    assert found == codes | ({"table-taken"} if "_path" in after else set())
    assert failure.startswith(reason)
    assert bool(failure) == bool(reason) or "_path" in after


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"README.md": b""}, "has no migrations/schema.json"),
        ({SCHEMA_FILE: b"{"}, "cannot be read"),
        ({SCHEMA_FILE: b'{"tables": []}'}, "end in nothing"),
        (
            {
                SCHEMA_FILE: b'{"tables": []}',
                f"{VERSIONS}1.py": b'revision = "a"\ndown_revision = None',
                f"{VERSIONS}2.py": b'revision = "b"\ndown_revision = None',
            },
            "end in a, b instead of in one",
        ),
        (
            {SCHEMA_FILE: b'{"revision": "b"}', f"{VERSIONS}1.py": b'revision = "a"\ndown_revision = None'},
            "is of a migration b that it does not hold",
        ),
        (
            {
                SCHEMA_FILE: b'{"revision": "c"}',
                f"{VERSIONS}1.py": b'revision = "a"\ndown_revision = None',
                f"{VERSIONS}2.py": b'revision = "b"\ndown_revision = "c"',
                f"{VERSIONS}3.py": b'revision = "c"\ndown_revision = "b"',
            },
            "is of a migration c that a, its newest, does not follow",
        ),
        ({SCHEMA_FILE: b'{"tables": []}', f"{VERSIONS}1.py": b"import os"}, "does not say which migration"),
        (
            {
                SCHEMA_FILE: b'{"tables": []}',
                f"{VERSIONS}1.py": b'revision = "a"\ndown_revision = ("b", "c")',
            },
            "follows more than one",
        ),
    ],
)
def test_a_release_that_cannot_be_gone_on_from_is_refused(files: dict[str, bytes], reason: str) -> None:
    with pytest.raises(ReleaseUnfit, match=re.escape(reason)):
        earlier_in(files)


def schema_with(**changes: Any) -> bytes:
    """A schema of two tables with something of it changed: ``name``, or what a column or a key has."""
    column = {"name": "a", "kind": "text"} | changes.pop("column", {})
    key = {"name": "fk_a", "column": "a", "target": "others"} | changes.pop("key", {})
    other = {"name": "others", "columns": [{"name": "id", "kind": "uuid"}]}
    table = {"name": "things", "columns": [*other["columns"], column], "keys": [key], **changes}
    return json.dumps({"tables": [table, other]}).encode()


def test_a_schema_may_hold_any_default_that_is_written() -> None:
    for default in (
        '"a # b"', "-1", "1.5", "True", "[]", "{'a': [1, None]}", 'Decimal("1.50")', "datetime.now(UTC).date()",
        'datetime.fromisoformat("2020-01-01T00:00:00+00:00")', "datetime.now(UTC)", 'UUID("0199a1de-0000-7000-8000-00")',
    ):  # fmt: skip
        column = read_schema(schema_with(column={"default": default})).tables[0].column("a")
        assert column is not None
        assert column.default == default


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": 'things"), x('},
        {"name": "x" * 501},
        {"name": "others"},
        {"column": {"name": 'a" + b'}},
        {"column": {"kind": "strange"}},
        {"column": {"kind": "decimal", "precision": 10**9}},
        {"column": {"kind": "decimal", "scale": -1}},
        {"column": {"length": 10**12}},
        *({"column": {"default": code}} for code in (
            "__import__('os').system('id')", '"a" # b', "1\n", "(1)", "[" * 5000, "-" * 100_000 + "1", "9" * 5000, "now()",
            'Decimal("1") + x("")', '"' + "x" * 200_000 + '"',
        )),
        {"key": {"target": 'others"'}},
        {"key": {"target": "nowhere"}},
        {"key": {"column": "nothing"}},
        {"key": {"on_delete": "WHATEVER"}},
        {"key": {"name": 'fk"'}},
        {"key": {"what": 1}},
        {"primary": ["b"]},
        {"primary": []},
        {"uniques": [{"name": "uq", "columns": []}]},
        {"uniques": [{"name": "uq", "columns": ["b"]}]},
        {"indexes": [{"name": "ix a", "column": "a"}]},
    ],
    ids=lambda wrong: repr(wrong)[:60],
)  # fmt: skip
def test_a_schema_that_no_release_has_is_refused(wrong: dict[str, Any]) -> None:
    assert read_schema(schema_with())
    with pytest.raises(ReleaseUnfit, match="cannot be read"):
        earlier_in({SCHEMA_FILE: schema_with(**wrong)})


def test_a_schema_is_not_nested_for_ever_and_has_a_number_of_tables() -> None:
    for content in (
        b'{"tables": [{"keys": [{"what": ' + b"[" * 100_000,
        json.dumps(
            {"tables": [{"name": f"t{n}", "columns": [{"name": "id", "kind": "uuid"}]} for n in range(1001)]}
        ).encode(),
        b'{"revision": "\xff"}',
    ):
        with pytest.raises(ReleaseUnfit, match="cannot be read"):
            earlier_in({SCHEMA_FILE: content})


def test_what_a_migration_is_is_read_without_parsing_it() -> None:
    by_hand = (
        b"revision: str = 'a'  # by hand\ndown_revision: str | None = None\nx = (((\n    revision = 'b'\n"
    )
    found = earlier_in({SCHEMA_FILE: b'{"revision": "a"}', f"{VERSIONS}1.py": by_hand})
    assert (found.head, found.count) == ("a", 1)


FIELDS = (
    "text", "text(0..9)", "text?", "text(1..40) unique", "text unique = x", "email?", "url?", "int", "int = 4",
    "int? indexed", "int? unique", "float?",
    "decimal(8,2)?", "decimal(9,3) = 1.5", "bool = true", "date?", "datetime = now", "time?", "uuid?", "json?",
    "list int", "enum(a, b) = a", "enum(b, c)?", "text secret", "Other?", "Other? cascade", "Thing? clear", "many Other",
)  # fmt: skip


@st.composite
def specifications(draw: st.DrawFn) -> str:
    lines = ["project: {name: Things}", "entities:", "  Other: {n: int?}", "  Thing:", "    n: int?"]
    chosen = draw(st.dictionaries(st.sampled_from("abcde"), st.sampled_from(FIELDS), max_size=4))
    return "\n".join([*lines, *(f'    {name}: "{field}"' for name, field in sorted(chosen.items()))])


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(before=specifications(), after=specifications())
def test_whatever_can_be_done_can_be_undone_and_nothing_is_done_twice(before: str, after: str) -> None:
    old, new = tables_of(before), tables_of(after)
    forward = difference(old, new)
    if not forward.refusals:
        assert difference(new, old, back=True).refusals == []
    assert difference(old, old).steps == []
    stops = {f"Thing.{name}" for step in forward.steps if isinstance(step, Distinct) for name in step.columns}
    assert stops <= {note.subject for note in (*forward.warnings, *forward.refusals)}
    assert read_schema(written(new).encode()) == new
    assert migration_of(new, None).revision == migration_of(tables_of(after), None).revision
