"""Which tasks one may read from, once tasks have added tasks: what was planned before it, and what came of that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from factory_core.builds.schemas import SpawnedRow

__all__ = ["in_order", "readable"]


def readable(
    task: str, before: Mapping[str, tuple[str, ...]], spawned: Sequence[SpawnedRow]
) -> tuple[str, ...]:
    """Everything that ended before ``task``, in the order of ``in_order``. ``before`` is what the plan says.

    A task that was added reads what its parent read, its parent, and those it stands after itself."""
    rows = {row.id: row for row in spawned}
    root = _root(task, rows)
    above = {*before[root], *_line(task, rows)}
    while True:  # whoever is waited for by one of these is read as well
        reached = above | {task}
        found = {row.id for row in spawned if row.id not in reached and reached & set(row.heirs)}
        if not found:
            return in_order(above, [*before[root], root], spawned)
        above |= found


def in_order(names: Iterable[str], planned: Sequence[str], spawned: Iterable[SpawnedRow]) -> tuple[str, ...]:
    """Planned tasks as planned, each followed by what it added, children before grandchildren: the same in every run, and
    no file is older than the one it replaces."""
    rows = {row.id: row for row in spawned}
    places = {name: place for place, name in enumerate(planned)}

    def order(name: str) -> tuple[int, int, int, str]:
        row = rows.get(name)
        place = places.get(_root(name, rows), len(places))
        return (place, row.depth, row.n, name) if row is not None else (place, 0, 0, name)

    return tuple(sorted(names, key=order))


def _root(task: str, rows: Mapping[str, SpawnedRow]) -> str:
    """The planned task that it goes back to; itself when it was planned."""
    return next(reversed(_line(task, rows)), task)


def _line(task: str, rows: Mapping[str, SpawnedRow]) -> list[str]:
    """The parents up to the planned one."""
    line: list[str] = []
    while task in rows:
        task = rows[task].parent
        line.append(task)
    return line
