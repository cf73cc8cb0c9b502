from __future__ import annotations

import pytest

from factory_core.contracts.plan import PlannedTask
from factory_core.planning.graph import Graph, critical_path
from factory_core.planning.slugs import Names, segments, slug, words


def task(name: str, seconds: float = 0.0) -> PlannedTask:
    return PlannedTask(id=name, agent="builder", title=name, team="", phase="", seconds=seconds)


@pytest.fixture
def graph() -> Graph:
    graph = Graph()
    for name, seconds in {"c": 1.0, "b": 2.0, "a": 3.0, "alone": 4.0}.items():
        graph.add(task(name, seconds))
    return graph


def test_edges_that_close_a_cycle_are_all_refused_and_named(graph: Graph) -> None:
    assert graph.join([("b", "a"), ("c", "b")]) == ()
    assert set(graph.join([("alone", "a"), ("a", "c")])) == {"a", "b", "c"}
    assert {item.id: item.after for item in graph.finish()} == {
        "a": (),
        "alone": (),
        "b": ("a",),
        "c": ("b",),
    }


def test_a_task_cannot_wait_for_itself(graph: Graph) -> None:
    assert graph.join([("a", "a")])


def test_an_edge_that_was_there_survives_a_refusal(graph: Graph) -> None:
    graph.join([("b", "a")])
    assert graph.join([("b", "a"), ("a", "b")])
    assert {item.id: item.after for item in graph.finish()}["b"] == ("a",)


def test_priorities_are_the_way_left_in_milliseconds(graph: Graph) -> None:
    graph.join([("b", "a"), ("c", "b")])
    tasks = graph.finish()
    assert {item.id: item.priority for item in tasks} == {"a": 6000, "b": 3000, "c": 1000, "alone": 4000}
    assert critical_path(tasks) == ("a", "b", "c")


def test_an_empty_graph_has_no_critical_path() -> None:
    assert critical_path(Graph().finish()) == ()


def test_names_are_handed_out_once() -> None:
    names = Names()
    assert [names.take(name) for name in ("a", "a", "a-2", "a")] == ["a", "a-2", "a-2-2", "a-3"]


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("a.b[0].c", ("a", "b", "c")),
        ('a["b.c"].d', ("a", "b.c", "d")),
        ("a.b#2", ("a", "b")),
        ("", ()),
    ],
)
def test_keys_of_a_path(path: str, keys: tuple[str, ...]) -> None:
    assert segments(path) == keys


def test_slugs_and_words() -> None:
    assert slug("A finished card, stays!") == "a-finished-card-stays"
    assert slug("Ünïcode 漢字") == "n-code"
    assert slug("漢字") == "unnamed"
    assert words("userStories", "HTTPServer_v2") == {"user", "story", "http", "server", "v", "2"}
