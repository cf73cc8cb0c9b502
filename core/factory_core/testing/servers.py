# ruff: noqa: S101 (a suite is made of assertions)
"""What every source of an embedded server keeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from factory_core.contracts.servers import ServerSource

__all__ = ["ServerSourceContract"]


class ServerSourceContract:
    """Subclass it with a fixture ``source``; each test has a home of its own."""

    @pytest.fixture(autouse=True)
    def _stopped_at_the_end(self, source: ServerSource, home: Path) -> Iterator[None]:
        yield
        source.stop(home)

    def test_its_url_is_the_same_whether_or_not_it_runs(self, source: ServerSource, home: Path) -> None:
        before = source.url(home)
        source.start(home)
        assert source.url(home) == before
        source.stop(home)
        assert source.url(home) == before

    def test_two_homes_have_two_urls(self, source: ServerSource, home: Path, tmp_path: Path) -> None:
        assert source.url(home) != source.url(tmp_path / "another")

    def test_it_is_alive_between_start_and_stop(self, source: ServerSource, home: Path) -> None:
        assert not source.alive(home)
        source.start(home)
        assert source.alive(home)
        source.stop(home)
        assert not source.alive(home)

    def test_starting_and_stopping_twice_does_no_harm(self, source: ServerSource, home: Path) -> None:
        source.stop(home)
        source.start(home)
        source.start(home)
        assert source.alive(home)
        source.stop(home)
        source.stop(home)

    def test_it_starts_again_after_a_stop(self, source: ServerSource, home: Path) -> None:
        source.start(home)
        source.stop(home)
        source.start(home)
        assert source.alive(home)

    def test_the_servers_of_two_homes_do_not_meet(
        self, source: ServerSource, home: Path, tmp_path: Path
    ) -> None:
        other = tmp_path / "another"
        other.mkdir()
        source.start(home)
        assert not source.alive(other)
        source.stop(other)
        assert source.alive(home)
