"""Planting bugs: deterministic, one at a time, every kind of handler in turn."""

from __future__ import annotations

import ast

from hypothesis import given, settings
from hypothesis import strategies as st

from factory_plugin_agents.gates.mutate import BUGS, choose_mutants, seeds_of

SOURCE = '''
@router.post("", status_code=201)
def create_card(card: Card, limit: int = 5) -> Card:
    """Make one."""
    if card.done and not card.open:
        raise Refused(409)
    check(card)
    return card


def list_cards(n):
    return n + 1 if n < 3 else None
'''


def test_every_kind_of_bug_can_be_planted():
    assert {seed.bug for seed in seeds_of("app/routes/card.py", SOURCE)} == set(BUGS)


def test_a_bug_knows_the_lines_that_run_with_it():
    runs = {
        (seed.bug, seed.line): (seed.runs, seed.function) for seed in seeds_of("app/routes/card.py", SOURCE)
    }
    whole = (4, 8)
    assert runs["status code changed", 2] == (whole, whole)
    assert runs["not dropped", 5] == runs["body of if dropped", 5] == ((5, 5), whole)
    assert runs["raise dropped", 6] == ((6, 6), whole)


def test_annotations_defaults_and_docstrings_are_left_alone():
    lines = {(seed.bug, seed.line) for seed in seeds_of("app/routes/card.py", SOURCE)}
    assert ("off by one", 3) not in lines
    assert not any(line == 4 for _, line in lines)


@settings(deadline=None)
@given(st.integers(1, 60))
def test_the_choice_is_the_same_every_time_and_a_bug_changes_the_code(most):
    sources = {"app/routes/card.py": SOURCE, "app/rows.py": SOURCE}
    mutants = choose_mutants(sources, most=most)
    assert mutants == choose_mutants(dict(reversed(sources.items())), most=most)
    assert len(mutants) <= most
    for mutant in mutants:
        assert ast.dump(ast.parse(mutant.source)) != ast.dump(ast.parse(SOURCE)), mutant.what


def test_few_mutants_are_spread_over_the_handlers():
    sources = {f"app/routes/{name}.py": SOURCE for name in ("card", "board", "label")} | {
        "app/rows.py": SOURCE
    }
    what = {(mutant.path.split("/")[1], mutant.line < 10) for mutant in choose_mutants(sources, most=3)}
    assert len(what) == 3


def test_no_functions_mean_no_mutants():
    assert choose_mutants({"app/rows.py": "X = 1\n"}, most=40) == ()


def test_of_what_handlers_share_a_third_as_many_bugs_are_planted() -> None:
    handler = "def show(x):\n    if x == 1:\n        return 2\n    return 3\n"
    common = "".join(f"def help_{n}(x):\n    return x == {n}\n" for n in range(40))
    sources = {"app/routes/card.py": handler, "app/rows.py": common}
    chosen = choose_mutants(sources, most=40, shared=frozenset({"app/rows.py"}))
    own = sum(mutant.path == "app/routes/card.py" for mutant in chosen)
    assert own > 0
    assert len(chosen) - own == own // 3


def test_where_there_are_no_handlers_nothing_is_planted_in_what_they_would_share() -> None:
    source = "def f(a):\n    return a == 1\n"
    assert choose_mutants({"app/rows.py": source}, most=40)
    assert not choose_mutants({"app/rows.py": source}, most=40, shared=frozenset({"app/rows.py"}))
