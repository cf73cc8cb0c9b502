"""What ``studio shares`` refuses before it asks any server."""

from __future__ import annotations

import click
import pytest

from factory_core.kernel.commands.shares import NO_LIMIT, SIZE, shares

REFUSED = (
    (["set", "shop"], "Nothing is to be changed"),
    (["set", "shop", "--weight", "0"], ">= 1 for --weight"),
    (["set", "shop", "--max-agents", "0"], ">= 1 for --max-agents"),
    (["set", "shop", "--max-agents", "2GiB"], "'2GiB' is no whole number, and not 'none'"),
    (["set", "shop", "--max-memory", "2GB"], "'2GB' is no whole number of bytes, nor one with KiB, MiB"),
    (["set", "shop", "--max-memory", "-1"], "no whole number"),
    (["set", "shop", "--max-memory", "1KiB"], "for --max-memory"),
    (["set", "shop", "--reserved"], "No such option"),
    (["set", "--weight", "2"], "Missing argument"),
    (["set-organisation"], "Nothing is to be changed"),
    (["set-organisation", "--weight", "10001"], "<= 10000 for --weight"),
)


def test_wrong_options_are_refused_by_their_names() -> None:
    for words, message in REFUSED:
        with pytest.raises(click.UsageError) as refused:
            shares.main(words, standalone_mode=False)
        assert message in refused.value.format_message(), words


def test_sizes_have_the_units_of_memory() -> None:
    assert [SIZE.convert(text, None, None) for text in ("7", "64MiB", "2 GiB", "1TiB", "none")] == [
        7,
        64 << 20,
        2 << 30,
        1 << 40,
        NO_LIMIT,
    ]
