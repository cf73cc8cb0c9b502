"""What tests of the specification reader share."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from factory_core.contracts.blueprint import Blueprint, Field
from factory_core.specs import Reading, read, render_problems

ReadText = Callable[..., Reading]


@pytest.fixture
def reading() -> ReadText:
    """Reads a text, indented as a test likes it."""

    def read_text(text: str, *, name: str = "spec.yaml") -> Reading:
        return read(textwrap.dedent(text).encode(), name=name)

    return read_text


@pytest.fixture
def blueprint(reading: ReadText) -> Callable[..., Blueprint]:
    """Reads a text that must have no errors; a project's name is added when there is none."""

    def read_text(text: str, *, name: str = "spec.yaml") -> Blueprint:
        text = textwrap.dedent(text)
        if "project:" not in text:
            text = f"{text}\nproject: {{name: Test}}\n"
        found = reading(text, name=name)
        assert found.blueprint is not None, render_problems(found, name)
        return found.blueprint

    return read_text


@pytest.fixture
def complaints(reading: ReadText) -> Callable[..., list[str]]:
    """The problems of a text as ``line:code``, in order."""

    def complain(text: str, *, name: str = "spec.yaml") -> list[str]:
        text = textwrap.dedent(text).lstrip("\n")
        text = text if "project:" in text else f"{text}\nproject: {{name: Test}}\n"
        return [f"{problem.line}:{problem.code}" for problem in reading(text, name=name).problems]

    return complain


@pytest.fixture
def field(blueprint: Callable[..., Blueprint]) -> Callable[[str], Field]:
    """The field a short form describes, beside entities ``Other`` and ``Order Line``."""

    def read_field(form: str) -> Field:
        text = f"entities:\n  Thing:\n    it: {form}\n  Other: {{name: text}}\n  Order Line: {{name: text}}\n"
        return blueprint(text).entity("Thing").field("it")

    return read_field


@pytest.fixture
def examples() -> Path:
    """The folder of specifications that users can build at once."""
    return Path(__file__).parents[3] / "examples"
