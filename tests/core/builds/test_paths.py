"""Which names files may have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_core.builds.paths import PathRefused, check_path, check_produced
from factory_core.contracts.files import Produced


@pytest.mark.parametrize("path", ["README.md", ".github/workflows/ci.yml", "app/models/card.py", "a b/ü.txt"])
def test_ordinary_paths_are_taken(path: str) -> None:
    check_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../b",
        "a//b",
        "a/./b",
        "a\\b",
        "c:x",
        "a\x00b",
        "a\nb",
        ".git/config",
        "x/.GIT/y",
        "a /b",
    ],
)
def test_a_path_that_could_mean_something_else_is_refused(path: str) -> None:
    with pytest.raises(PathRefused):
        check_path(path)


@given(st.text(max_size=40))
def test_what_is_taken_stays_inside_the_folder(path: str) -> None:
    try:
        check_path(path)
    except PathRefused:
        return
    assert not path.startswith("/")
    assert ".." not in path.split("/")


def test_two_names_that_differ_in_case_alone_are_refused() -> None:
    with pytest.raises(PathRefused):
        check_produced([Produced(path="Readme", content=b""), Produced(path="README", content=b"")])
