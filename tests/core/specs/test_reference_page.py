"""The reference of the language says what the reader does."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory_core.specs import read, render_problems
from factory_core.specs.compose import MOST_NODES
from factory_core.specs.field_types import MOST_VALUES, OPTIONS, TYPE_WORDS
from factory_core.specs.intake import DEEPEST, LARGEST_DOCUMENT, LONGEST_LINE, MOST_LINES
from factory_core.specs.markdown import Fragment, find_fragments
from factory_core.specs.notes import MOST_PROBLEMS
from factory_core.specs.reader import MOST_FENCES, OTHERS, TYPED

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "specification.md"
TEXT = PAGE.read_text()
BLOCKS = find_fragments(TEXT)[0]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"line {block.first}")
def test_a_block_of_the_page_is_read_without_a_complaint(block: Fragment):
    text = block.text if "project:" in block.text else f"{block.text}\nproject: {{name: Reference}}\n"
    found = read(text.encode())
    assert found.blueprint is not None, render_problems(found, PAGE.name)
    assert found.problems == (), render_problems(found, PAGE.name)


def test_the_page_has_blocks_for_every_section():
    shown = {line.split(":")[0] for block in BLOCKS for line in block.text.split("\n")}
    assert {*TYPED, *OTHERS} - shown == set()


@pytest.mark.parametrize("word", [*TYPE_WORDS, *OPTIONS])
def test_every_type_and_option_is_on_the_page(word: str):
    assert f"`{word}" in TEXT


def test_the_limits_on_the_page_are_the_reader_s():
    limits = TEXT.partition("## Limits")[2]
    assert LARGEST_DOCUMENT == 1 << 20
    for number in (MOST_LINES, LONGEST_LINE, MOST_NODES, DEEPEST, MOST_FENCES, MOST_VALUES, MOST_PROBLEMS):
        assert f"{number:,}" in limits
