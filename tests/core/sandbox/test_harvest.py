"""What a sandbox hands back is hostile until checked."""

from __future__ import annotations

import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_core.sandbox.harvest import MOST_FILES, read_report, unpack
from factory_core.sandbox.inside.carrier import pattern


def report(*files: tuple[str, int, bool], contents: bytes = b"") -> io.BytesIO:
    return io.BytesIO(json.dumps({"exit": 0, "files": files}).encode() + b"\n" + contents)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "", "a\0b"])
def test_a_path_that_leads_outside_spoils_the_report(path):
    assert read_report(report((path, 1, False))) is None


def test_an_honest_path_does_not():
    assert read_report(report(("a/b", 1, False))) is not None


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"nonsense\n",
        b'{"exit": "0", "files": []}\n',
        b'{"exit": 0, "files": [["a", -1, false]]}\n',
    ],
)
def test_a_malformed_report_is_none(line):
    assert read_report(io.BytesIO(line)) is None


def test_too_many_files_spoil_the_report():
    assert read_report(report(*[(f"f{n}", 0, False) for n in range(MOST_FILES + 1)])) is None


def test_a_report_cut_short_leaves_no_half_file(tmp_path):
    stream = report(("whole", 3, False), ("half", 10, False), contents=b"abcde")
    found = read_report(stream)
    assert found
    unpack(found, stream, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]


def test_a_file_does_not_replace_a_folder(tmp_path):
    (tmp_path / "folder").mkdir()
    stream = report(
        ("folder", 1, False),
        ("folder/file", 1, False),
        ("file", 1, False),
        ("file/x", 1, False),
        contents=b"abcd",
    )
    found = read_report(stream)
    assert found
    unpack(found, stream, tmp_path)
    assert (tmp_path / "folder/file").read_bytes() == b"b"
    assert (tmp_path / "file").read_bytes() == b"c"


@given(st.from_regex(r"[a-z]{1,3}(/[a-z]{1,3}){0,3}", fullmatch=True))
def test_two_stars_match_every_path_and_one_star_only_the_top(path):
    assert re.fullmatch(pattern("**"), path)
    assert bool(re.fullmatch(pattern("*"), path)) == ("/" not in path)
    assert re.fullmatch(pattern("**/*"), path)
    assert re.fullmatch(pattern(path), path)
