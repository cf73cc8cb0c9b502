"""Which tests of a file ran which lines of the application, as the gate ``tests`` saw it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct

__all__ = ["Ran"]


class Ran(Struct, frozen=True, dict=True):
    """``lines`` is ``path -> tests -> lines``: bit ``n`` of the hexadecimal number stands for ``tests[n]``."""

    tests: list[str]
    lines: dict[str, dict[str, list[int]]]

    def those_that_ran(self, path: str, lines: tuple[int, int], *, near: tuple[int, int]) -> list[str]:
        """The tests that ran any line from the first to the last; no other can notice what changes there. Those come
        first that ran what few ran, in the lines ``near`` and elsewhere: they are about what is special there."""
        who = 0
        for tests in self._runs(path, lines):
            who |= tests
        turns = sorted(
            (
                self._rarest(number, list(self._runs(path, near))),
                self._rarest(number, self._everything),
                number,
            )
            for number in range(len(self.tests))
            if who >> number & 1
        )
        return [self.tests[number] for _, _, number in turns]

    def within(self, paths: frozenset[str]) -> Ran:
        """What is known of these files alone."""
        return Ran(self.tests, {path: lines for path, lines in self.lines.items() if path in paths})

    @cached_property
    def _everything(self) -> list[int]:
        return [int(tests, 16) for lines in self.lines.values() for tests in lines]

    def _runs(self, path: str, lines: tuple[int, int]) -> Iterator[int]:
        first, last = lines
        for tests, ran in self.lines.get(path, {}).items():
            if any(first <= line <= last for line in ran):
                yield int(tests, 16)

    def _rarest(self, number: int, runs: list[int]) -> int:
        """How many tests ran that of these which the fewest ran and this test ran, too."""
        return min((tests.bit_count() for tests in runs if tests >> number & 1), default=len(self.tests))
