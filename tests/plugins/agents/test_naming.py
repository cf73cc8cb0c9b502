"""Names are safe in Python and SQL whatever words a specification uses."""

from __future__ import annotations

import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_plugin_agents import naming

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_ -]{0,20}", fullmatch=True)


@given(NAMES)
def test_every_name_is_an_identifier_and_no_keyword(name: str) -> None:
    for made in (naming.attribute(name), naming.module(name), naming.class_name(name)):
        assert made.isidentifier()
        assert not keyword.iskeyword(made)


@given(NAMES)
def test_no_field_shadows_what_a_row_or_schema_has(name: str) -> None:
    assert naming.attribute(name) not in {
        "id",
        "metadata",
        "registry",
        "model_dump",
        "copy",
        "json",
        "date",
        "self",
    }


@given(st.lists(NAMES, max_size=8))
def test_unique_names_differ_and_keep_their_order(names: list[str]) -> None:
    made = naming.unique(names)
    assert len(set(made)) == len(names)
    assert all(one.startswith(name) for one, name in zip(made, names, strict=True))


@pytest.mark.parametrize(
    ("name", "snake", "pascal"),
    [
        ("OrderLine", "order_line", "OrderLine"),
        ("order-line", "order_line", "OrderLine"),
        ("Order line", "order_line", "OrderLine"),
        ("HTTPServer2", "http_server2", "HttpServer2"),
        ("dueDate", "due_date", "DueDate"),
    ],
)
def test_words_are_found_in_any_spelling(name: str, snake: str, pascal: str) -> None:
    assert (naming.snake(name), naming.pascal(name)) == (snake, pascal)


@pytest.mark.parametrize(
    ("name", "attribute", "class_name"),
    [
        ("class", "class_", "Class"),
        ("metadata", "metadata_", "Metadata"),
        ("Session", "session", "SessionRecord"),
    ],
)
def test_reserved_words_get_an_underscore_or_a_longer_name(
    name: str, attribute: str, class_name: str
) -> None:
    assert (naming.attribute(name), naming.class_name(name)) == (attribute, class_name)


@pytest.mark.parametrize(
    ("word", "plural"),
    [
        ("card", "cards"),
        ("class", "classes"),
        ("city", "cities"),
        ("day", "days"),
        ("box", "boxes"),
        ("news", "news"),
    ],
)
def test_the_last_word_is_put_in_the_plural(word: str, plural: str) -> None:
    assert naming.plural(word) == plural


@given(st.text(st.characters(codec="ascii", categories=("L",)), min_size=1, max_size=200))
def test_long_names_are_cut_and_stay_apart(text: str) -> None:
    assert len(naming.short(text)) <= 60
    assert naming.short(text + "a" * 60) != naming.short(text + "b" * 60)
