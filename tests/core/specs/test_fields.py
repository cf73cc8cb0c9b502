"""The grammar of a field."""

from __future__ import annotations

import pytest

from factory_core.contracts.blueprint import FieldKind, OnDelete, Secrecy
from factory_core.specs import read


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("text", {"kind": FieldKind.TEXT, "minimum": None, "maximum": None}),
        ("text(80)", {"maximum": 80, "minimum": None}),
        ("text(1..80) unique", {"minimum": 1, "maximum": 80, "unique": True}),
        ("int(-5..5)", {"kind": FieldKind.INT, "minimum": -5, "maximum": 5}),
        ("int = -3", {"default": -3, "has_default": True}),
        ("float = 1.5", {"kind": FieldKind.FLOAT, "default": 1.5}),
        ("decimal(10,2)?", {"kind": FieldKind.DECIMAL, "precision": 10, "scale": 2, "optional": True}),
        ("decimal(10, 2) = 1.5", {"default": "1.50"}),
        ("money = 3", {"kind": FieldKind.DECIMAL, "precision": 19, "scale": 2, "money": True, "default": "3.00"}),
        ("bool = false", {"kind": FieldKind.BOOL, "default": False}),
        ("date = today", {"kind": FieldKind.DATE, "default": "today"}),
        ("date = 2026-01-31", {"default": "2026-01-31"}),
        ("datetime = now", {"kind": FieldKind.DATETIME, "default": "now"}),
        ("datetime = 2026-01-31T09:00:00+01:00", {"default": "2026-01-31T08:00:00Z"}),
        ("time = 09:30", {"kind": FieldKind.TIME, "default": "09:30:00"}),
        ("uuid", {"kind": FieldKind.UUID}),
        ("email unique indexed", {"kind": FieldKind.EMAIL, "unique": True, "indexed": True}),
        ("url?", {"kind": FieldKind.URL, "optional": True}),
        ('json = [1, {"a":2}]', {"kind": FieldKind.JSON, "default": '[1, {"a": 2}]'}),
        ("enum(todo, doing, done) = todo", {"kind": FieldKind.ENUM, "values": ("todo", "doing", "done"), "default": "todo"}),
        ("list text = [\"a\"]", {"kind": FieldKind.LIST, "default": '["a"]'}),
        ("Other", {"kind": FieldKind.REFERENCE, "target": "Other", "on_delete": OnDelete.REFUSE}),
        ("Other? clear", {"optional": True, "on_delete": OnDelete.CLEAR}),
        ("Other cascade", {"on_delete": OnDelete.CASCADE}),
        ("Order Line unique", {"target": "Order Line", "unique": True}),
        ("Thing?", {"target": "Thing"}),
        ("many Other", {"kind": FieldKind.MANY, "target": "Other"}),
        ("many Order Line", {"target": "Order Line"}),
        ("text secret", {"secrecy": Secrecy.HASHED}),
        ("text? secret(encrypted)", {"secrecy": Secrecy.ENCRYPTED, "optional": True}),
        ("text? readonly", {"readonly": True}),
        ("text = and the rest = of it", {"default": "and the rest = of it"}),
        ('text = ""', {"default": ""}),
        ("uuid = 0B8BA1A5-7a0e-4f0e-9d2a-0d6a3f6f7f10", {"default": "0b8ba1a5-7a0e-4f0e-9d2a-0d6a3f6f7f10"}),
        ("email = a@example.com", {"default": "a@example.com"}),
        ("url = https://example.com/x?y=z", {"default": "https://example.com/x?y=z"}),
        ("list int = [1, 2]", {"default": "[1, 2]"}),
    ],
)  # fmt: skip
def test_a_short_form_means_what_it_says(field, form: str, expected: dict[str, object]):
    found = field(form)
    assert {name: getattr(found, name) for name in expected} == expected
    assert found.line == 3


@pytest.mark.parametrize(
    ("form", "hint"),
    [
        ("txt", "Did you mean text?"),
        ("Othr", "Did you mean Other?"),
        ("text unqiue", "Did you mean unique?"),
        ("unique text", "Types:"),
        ("text indexed unique", "The order is"),
        ("text unique unique", "The order is"),
        ("text unique ?", "The ?"),
        ("many Other?", "Remove the ?"),
        ("list text?", "Remove the ?"),
        ("list list text", "json"),
        ("list " * 3000, "json"),
        ("list Other", "many Other"),
        ("int(5..1)", "From"),
        ("int(7)", "int(0..100)"),
        ("text(1..)", "For example"),
        ("text(0)", "From"),
        ("int(0..9223372036854775808)", "From"),
        ("decimal(2,5)", "Precision"),
        ("decimal", "decimal(10,2)"),
        ("enum(a, a)", "twice"),
        ("enum()", "enum(todo"),
        ("enum(a, b) = c", "not one of"),
        ("bool = yes", "true or false"),
        ("date = tomorrow", "today"),
        ("datetime = 2026-01-31T09:00:00", "time zone"),
        ("int(0..5) = 9", "between"),
        ("text(1..3) = long text", "characters"),
        ("money = 1.005", "does not fit"),
        ("Other = x", "no default"),
        ("Other clear", "cascade"),
        ("text cascade", "Only a reference"),
        ("text readonly", "default"),
        ("int secret", "Only text"),
        ("text unique secret", "unique"),
        ("text secret = x", "Everybody"),
        ("json unique", "unique"),
        ("bool(3)", "no arguments"),
        ("money(3)", "no arguments"),
        ("text(1", "not closed"),
        ("uuid = x", "is no uuid"),
        ("email = x", "someone@example.com"),
        ("url = ftp://x", "https://"),
        ("json = {", "is no json"),
        ("list int = [a]", "is no list"),
        ("list int = 5", "JSON list"),
        ("int = 1.5", "is no int"),
        ("int =", "missing"),
        ("float = nan", "is no float"),
        ("decimal(5,2) = x", "is no decimal"),
    ],
)
def test_a_wrong_form_is_an_error_on_its_line_with_a_way_out(reading, form: str, hint: str):
    text = f"project: {{name: T}}\nentities:\n  Thing:\n    it: {form}\n  Other: {{name: text}}\n"
    (problem,) = reading(text).problems
    assert (problem.code, problem.line) == ("type", 4)
    assert hint in f"{problem.message} {problem.suggestion}"


def test_the_column_of_an_error_is_the_word_that_is_wrong(reading):
    text = "project: {name: T}\nentities:\n  Thing:\n    it: text unqiue\n"
    (problem,) = reading(text).problems
    assert (problem.line, problem.column) == (4, 14)


@pytest.mark.parametrize(
    ("form", "whole"),
    [
        ("enum(a, b) = a", "enum(a, b) = a"),
        ("decimal(10,2)?", "decimal(10, 2)?"),
        ("enum(a, b, c)", "enum(a, b, c)"),
    ],
)
def test_a_type_split_by_braces_is_recognised(reading, form: str, whole: str):
    text = f"project: {{name: T}}\nentities:\n  Thing: {{first: text, it: {form}, last: bool}}\n"
    (problem,) = reading(text).problems
    assert (problem.code, problem.line, problem.column) == ("split-type", 3, 28)
    assert problem.suggestion == f'Quote it: it: "{whole}"'


def test_a_quoted_type_in_braces_is_fine(blueprint):
    found = blueprint('entities:\n  Thing: {it: "enum(a, b) = a", last: bool}\n')
    assert found.entity("Thing").field("it").values == ("a", "b")


def test_the_long_form_says_the_same_as_the_short_one(blueprint):
    found = blueprint(
        """
        requirements: [{R-3: Titles are unique.}]
        entities:
          Thing:
            title: {type: text, max: 80, min: 1, unique: true, description: What it is called, requirement: R-3}
            code: {type: "text(1..80) unique"}
            state: {type: enum, values: [a, b], default: a}
            price: {type: decimal, precision: 8, scale: 3, optional: true}
            owner: {type: Thing, optional: true, on_delete: clear}
            links: {type: many, of: Thing}
            words: {type: list, of: text, default: []}
            age: {type: int, min: 0}
            pin: {type: text, secret: encrypted}
        """
    )
    fields = {field.name: field for field in found.entity("Thing").fields}
    assert (fields["title"].minimum, fields["title"].maximum, fields["title"].unique) == (1, 80, True)
    assert (fields["title"].description, fields["title"].requirements) == ("What it is called", ("R-3",))
    assert fields["code"].unique
    assert (fields["state"].values, fields["state"].default) == (("a", "b"), "a")
    assert (fields["price"].precision, fields["price"].scale, fields["price"].optional) == (8, 3, True)
    assert (fields["owner"].target, fields["owner"].on_delete) == ("Thing", OnDelete.CLEAR)
    assert fields["links"].target == "Thing"
    assert (fields["words"].kind, fields["words"].default) == (FieldKind.LIST, "[]")
    assert (fields["age"].minimum, fields["age"].maximum) == (0, 2**63 - 1)
    assert fields["pin"].secrecy is Secrecy.ENCRYPTED


@pytest.mark.parametrize(
    "form",
    [
        "{max: 80}",
        "{type: text, max: long}",
        "{type: bool, max: 3}",
        "{type: text, unique: maybe}",
        "{type: enum}",
        "{type: Other, on_delete: explode}",
        "{type: text, default: {a: 1}}",
    ],
)
def test_a_wrong_long_form_is_an_error(complaints, form: str):
    assert complaints(f"entities:\n  Thing:\n    it: {form}\n  Other: {{name: text}}\n") == ["3:type"]


def test_an_unknown_key_of_a_long_form_is_kept_as_not_understood(reading):
    found = reading("project: {name: T}\nentities: {Thing: {it: {type: text, colour: red, maxx: 3}}}\n")
    assert found.blueprint is not None
    assert [problem.code for problem in found.problems] == ["unknown-key", "unknown-key"]
    assert "Did you mean max?" in found.problems[1].suggestion
    lost = [node.path for node in found.blueprint.nodes if not node.part]
    assert lost == ["entities.Thing.it.colour", "entities.Thing.it.maxx"]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ("author_id", "Author"),
        ("template_id", FieldKind.UUID),
        ("password_hash", (FieldKind.TEXT, Secrecy.HASHED)),
        ("closed_at", (FieldKind.DATETIME, True)),
        ("timestamp", (FieldKind.DATETIME, True)),
        ("paid_on", (FieldKind.DATE, True)),
        ("settings", (FieldKind.JSON, True)),
        ("distance_km", (FieldKind.INT, True)),
        ("minutes", (FieldKind.INT, True)),
        ("due_amount", (FieldKind.DECIMAL, True)),
        ("cost", (FieldKind.DECIMAL, True)),
        ("value", (FieldKind.FLOAT, False)),
        ("is_open", (FieldKind.BOOL, False)),
        ("anything", (FieldKind.TEXT, False)),
    ],
)
def test_a_column_without_a_type_gets_one_and_says_so(blueprint, columns: str, expected: object):
    found = blueprint(
        f"tables:\n  - Author: [id, name]\n  - Thing: [id, {columns}, created_at, updated_at]\n"
    )
    (field,) = found.entity("Thing").fields
    seen = {
        "author_id": field.target,
        "template_id": field.kind,
        "password_hash": (field.kind, field.secrecy),
    }.get(columns, (field.kind, field.optional))
    assert seen == expected
    assert field.name == columns
    assert [one.text for one in found.assumptions if f"Thing.{columns}" in one.text]


def test_a_thousand_wrong_fields_end_the_reading_early():
    fields = "".join(f"    f{number}: Missing{number}\n" for number in range(5000))
    found = read(f"project: {{name: T}}\nentities:\n  Thing:\n{fields}".encode())
    assert found.blueprint is None
    assert len(found.problems) == 201
    assert "too-many-problems" in {problem.code for problem in found.problems}
