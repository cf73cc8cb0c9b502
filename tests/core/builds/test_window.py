"""How much a worker takes at once follows how long the database needs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from factory_core.builds.window import LATE, MEMORY, Window


def test_slow_steps_halve_it_and_quick_ones_let_it_grow() -> None:
    window = Window(100)
    sizes = []
    for seconds in (0.06, 0.06, 0.06, 0.06, 0.01, 0.01, 0.01):
        window.note(seconds)
        sizes.append(window.size)
    assert sizes == [100, 50, 50, 25, 28, 31, 34]


def test_one_slow_step_among_twenty_is_no_sign() -> None:
    window = Window(100)
    for seconds in [1.0] + [0.01] * (MEMORY - 1) + [1.0]:
        window.note(seconds)
    assert window.size == 100
    window.note(1.0)
    assert window.size == 50


@given(st.integers(1, 200), st.lists(st.sampled_from([0.0, LATE, LATE + 0.01, 1.0]), max_size=100))
def test_it_halves_after_two_late_steps_since_the_last_time_and_grows_with_each_quick_one(
    most: int, steps: list[float]
) -> None:
    window, size, since = Window(most), most, list[bool]()
    for seconds in steps:
        window.note(seconds)
        since.append(seconds > LATE)
        if sum(since[-MEMORY:]) == 2:
            size, since = max(size // 2, 1), []
        elif not since[-1]:
            size = min(size + max(size // 8, 1), most)
        assert window.size == size


def test_it_recovers() -> None:
    window = Window(8)
    for seconds in [1.0] * 10 + [0.0] * 40:
        window.note(seconds)
    assert window.size == 8
