"""Who ran what: every test that could notice a change, and none that could not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from factory_plugin_agents.gates.ran import Ran

TESTS = ["usual", "other", "special"]
LINES = st.sets(st.integers(1, 12))


@given(st.lists(LINES, min_size=1, max_size=70), st.tuples(st.integers(1, 12), st.integers(1, 12)))
def test_a_test_is_asked_when_it_ran_one_of_the_lines(ran: list[set[int]], lines: tuple[int, int]) -> None:
    tests = [f"t{number}" for number in range(len(ran))]
    encoded: dict[str, list[int]] = {}
    for line in range(1, 13):
        who = sum(1 << number for number, mine in enumerate(ran) if line in mine)
        if who:
            encoded.setdefault(f"{who:x}", []).append(line)
    found = Ran(tests, {"a.py": encoded}).those_that_ran("a.py", lines, near=(1, 12))
    wanted = set(range(lines[0], lines[1] + 1))
    assert sorted(found) == sorted(test for test, mine in zip(tests, ran, strict=True) if mine & wanted)


def test_who_runs_what_few_run_is_asked_first() -> None:
    ran = Ran(TESTS, {"a.py": {"7": [1, 2], "4": [3], "2": [9]}, "b.py": {"1": [1]}})
    assert ran.those_that_ran("a.py", (1, 1), near=(1, 4)) == ["special", "usual", "other"]
    assert ran.those_that_ran("a.py", (3, 3), near=(1, 4)) == ["special"]
    assert ran.those_that_ran("a.py", (4, 8), near=(1, 4)) == []
    assert ran.those_that_ran("c.py", (1, 9), near=(1, 9)) == []


def test_of_some_files_alone_the_rest_is_forgotten() -> None:
    ran = Ran(TESTS, {"a.py": {"7": [1]}, "b.py": {"1": [1]}})
    assert ran.within(frozenset({"b.py"})) == Ran(TESTS, {"b.py": {"1": [1]}})
