"""Documents that want to do harm end in a clear error, in little memory."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from factory_core.specs import read
from factory_core.specs.compose import MOST_NODES
from factory_core.specs.intake import LARGEST_DOCUMENT, LONGEST_LINE, MOST_LINES

CONFINED = """
import json, resource, sys
name = sys.argv[1]
from factory_core.specs import read
data = sys.stdin.buffer.read()
resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
reading = read(data, name=name)
# Not ru_maxrss: a child inherits what its parent had resident when it was forked.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
print(json.dumps([reading.blueprint is not None, [(p.code, p.line) for p in reading.problems], int(peak)]))
""".replace(
    "BYTES", str(400 << 20)
)  # address space, of which the interpreter's libraries map a good part unused


def confined(data: bytes, name: str = "spec.yaml") -> tuple[bool, list[tuple[str, int]]]:
    """Read in a process of its own, bounded in memory and time; at most 200 MiB may become resident."""
    command = [sys.executable, "-c", CONFINED, name]
    done = subprocess.run(command, input=data, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    understood, problems, kilobytes = json.loads(done.stdout)
    assert kilobytes < 200 << 10
    return understood, [(code, line) for code, line in problems]


def bomb() -> str:
    """Ten lists of ten aliases each: ten thousand million values when written out."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 10)]
    return "\n".join(lines)


HOSTILE = {
    "alias bomb": (bomb(), "too-many-values"),
    "brackets": ("a: " + "[\n" * 10_000 + "]" * 10_000, "too-deep"),
    "braces": ("a: " + "{a:\n" * 10_000 + "}" * 10_000, "too-deep"),
    "levels that only a parser counts": ("a: " + "[\n" * 120 + "]" * 120, "too-deep"),
    "brackets only": ("[" * 19_000, "too-deep"),
    "indentation": ("".join(" " * level + "a:\n" for level in range(1_400)), "too-deep"),
    "dashes": ("- " * 9_000 + "a", "too-deep"),
    "aliases that nest": (
        "a: &a " + "[" * 90 + "]" * 90 + "\nb: " + "[" * 90 + "*a" + "]" * 90,
        "too-deep",
    ),
    "many values": ("a: [" + "b,\n" * 25_000 + "]", "too-many-values"),
    "many rules": (
        "rules:" + "\n  - {entity: A, check: a = 1}" * 1_001 + "\nentities: {A: {a: int}}",
        "too-large",
    ),
    "many lines": ("a: 1\n" * 40_000, "too-large"),
    "a long line": ("a: " + "b" * 900_000, "too-long"),
    "a recursive alias": ("a: &a [*a]", "alias"),
    "an alias of nothing": ("a: *b", "alias"),
    "merge keys": ("a: &a {b: 1}\nc:\n  <<: *a", "merge-key"),
    "a Python object": ("a: !!python/object/apply:os.system [id]", "tag"),
    "an unknown tag": ("a: !thing b", "tag"),
    "a tab": ("a:\n\tb: 1", "tab"),
    "two documents": ("a: 1\n---\nb: 2", "documents"),
    "a huge integer": ("a: " + "9" * 5_000, "number"),
    "a huge exponent": ("a: 1e99999", "number"),
    "not a number": ("a: .nan", "number"),
    "a list as key": ("? [a]\n: b", "key"),
    "an open bracket": ("a: [1, 2", "yaml"),
    "a control character": ("a: \x07", "control-character"),
    "a NUL byte": ("a: \0", "control-character"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_ends_in_one_clear_error(name: str):
    text, code = HOSTILE[name]
    understood, problems = confined(f"project: {{name: T}}\n{text}".encode())
    assert not understood
    assert [found for found, _ in problems] == [code]


@pytest.mark.parametrize("name", HOSTILE)
def test_every_refusal_says_what_to_do(name: str):
    text, _ = HOSTILE[name]
    (problem,) = read(f"project: {{name: T}}\n{text}".encode()).problems
    assert problem.suggestion
    assert len(problem.message) <= 400


BLOCKS = {
    "fences": "```yaml\na: 1\n```\n" * 5_000,
    "quotes": "> " * 9_000,
    "lists": "".join(" " * level + "- a\n" for level in range(1_400)),
    "headings": "# a\n" * 29_000,
    "tables": "a|b\n-|-\n" * 14_000,
    "html": "<a\n" * 29_000,
    "references": "[a]: b\n" * 29_000,
    "paragraphs": ("words " * 6 + "\n") * 28_000,
}


@pytest.mark.parametrize("name", BLOCKS)
def test_markdown_of_any_shape_stays_cheap(name: str):
    understood, problems = confined(BLOCKS[name].encode(), "spec.md")
    assert problems
    assert understood == (name == "headings")


@pytest.mark.parametrize(
    "text",
    [
        "x: |\n" + "  words of a long text\n" * 29_000,
        'x: "' + "words \\n of a text\n  " * 29_000 + '"',
        "# 5 agents\n" * 29_000,
        "x: {" + ",\n".join(f"k{number}: {number}" for number in range(9_000)) + "}",
        "entities:\n" + "".join(f"  E{number}: {{a: E{number // 2}}}\n" for number in range(4_000)),
        "x: [" + '"# not a comment",\n' * 15_000 + "]",
    ],
)
def test_a_large_honest_document_is_read_in_little_memory(text: str):
    understood, problems = confined(f"project: {{name: T}}\n{text}\n".encode())
    assert understood, problems


def test_more_than_a_mebibyte_is_refused_unread():
    found = read(b"\xff" * (LARGEST_DOCUMENT + 1))
    assert [problem.code for problem in found.problems] == ["too-large"]
    assert found.source == ""


def test_exactly_a_mebibyte_is_read():
    filler = ("# " + "x" * 97 + "\n") * (LARGEST_DOCUMENT // 100 + 1)
    head = "project: {name: T}\n"
    data = (head + filler)[:LARGEST_DOCUMENT].encode()
    assert len(data) == LARGEST_DOCUMENT
    assert read(data).blueprint is not None


@pytest.mark.parametrize(
    ("data", "place", "word"),
    [
        ("project: {name: Tést}".encode("utf-16"), (1, 1), "UTF-16"),
        ("project: {name: Tést}".encode("utf-32"), (1, 1), "UTF-32"),
        ("a: 1\nproject: {name: Tést}".encode("latin-1"), (2, 18), "0xE9"),
        ("project: {name: T}".encode("utf-16-le"), (1, 2), "NUL"),
        (b"a: 1\nb: \xed\xa0\x80", (2, 4), "0xED"),
    ],
)
def test_another_encoding_is_named_with_its_place(data: bytes, place: tuple[int, int], word: str):
    found = read(data)
    (problem,) = found.problems
    assert found.blueprint is None
    assert word in f"{problem.message} {problem.suggestion}"
    assert (problem.line, problem.column) == place
    assert "UTF-8" in problem.suggestion


def test_a_byte_order_mark_and_crlf_change_nothing():
    text = "project:\n  name: Tést\nentities:\n  Card: {title: text}\n"
    plain = read(text.encode())
    assert plain.blueprint is not None
    assert read(b"\xef\xbb\xbf" + text.encode()).blueprint == plain.blueprint
    assert read(text.replace("\n", "\r\n").encode()).blueprint == plain.blueprint
    assert read(text.replace("\n", "\r").encode()).blueprint == plain.blueprint


def test_an_alias_that_costs_little_is_written_out():
    found = read(b"project: {name: T}\nentities:\n  A: &a {name: text}\n  B: *a\n")
    assert found.blueprint is not None
    assert found.blueprint.entity("A").fields == found.blueprint.entity("B").fields
    assert sum(node.path.endswith(".name") for node in found.blueprint.nodes) == 3


def test_ninety_levels_are_read():
    assert read(f"project: {{name: T}}\na: {'[' * 90}{']' * 90}\n".encode()).blueprint is not None


def test_aliases_count_as_what_they_stand_for():
    list_ = ", ".join(["x"] * 199)
    within = "\n".join(f"k{number}: *a" for number in range(MOST_NODES // 201 - 2))
    beyond = "\n".join(f"k{number}: *a" for number in range(MOST_NODES // 201 + 2))
    head = f"project: {{name: T}}\nz: &a [{list_}]\n"
    assert read(f"{head}{within}\n".encode()).blueprint is not None
    assert [problem.code for problem in read(f"{head}{beyond}\n".encode()).problems] == ["too-many-values"]


@pytest.mark.parametrize(
    "key", ["../x", "/etc/passwd", "a/b", "a.b", "a\\b", "1a", "é", "a:b", "-a", "a" * 61]
)
def test_a_path_names_no_entity_and_no_field(complaints, key: str):
    quoted = json.dumps(key)
    assert complaints(f"entities:\n  {quoted}: {{title: text}}\n") == ["2:name"]
    assert complaints(f"entities:\n  Card:\n    {quoted}: text\n") == ["3:name"]


@pytest.mark.parametrize("name", ["../x", "/etc", "..\\x", ".hidden", "a\nb"])
def test_a_path_names_no_product(reading, name: str):
    found = reading(f"project: {{name: {json.dumps(name)}}}\n")
    assert [problem.code for problem in found.problems] == ["project"]


@pytest.mark.parametrize("key", ["template", "currency"])
def test_a_template_or_currency_is_a_word(reading, key: str):
    found = reading(f"project: {{name: T, {key}: ../../etc}}\n")
    assert [problem.code for problem in found.problems] == ["project"]


def test_the_limits_are_those_the_messages_name():
    assert f"{LONGEST_LINE:,}" in read(b"a: " + b"b" * LONGEST_LINE).problems[0].message
    assert f"{MOST_LINES:,}" in read(b"\n" * MOST_LINES).problems[0].message


@pytest.mark.parametrize("escape", [r"\e[31m", r"\x07", r"\u009b", r"\0"])
def test_a_control_character_written_as_an_escape_is_refused(escape: str) -> None:
    spec = f'project: {{name: P}}\nrequirements:\n  - R-1: "red {escape} text"\n'.encode()
    (problem,) = read(spec).errors
    assert problem.code == "control-character"
    assert problem.line == 3
