"""Builds that ended long ago, with something in every table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from factory_core.builds.archive import Archivist, History
from factory_core.builds.journal import Completion, CompletionKind
from factory_core.builds.packing import TABLES
from factory_core.builds.shelf import Shelf
from factory_plugin_storage.service import LocalStorage

PARAMS = {"note": 'say "ä" \\ {x, y}\n😀', "n": "7"}
RESULT = {"float": 0.1, "big": 12345678901234567890, "none": None, "text": "\ufffd", "deep": [{"a": [1.5]}]}


class Wire(LocalStorage):
    """The storage plugin's, with a wire that can be cut."""

    breaks = ""
    of = ""
    """Only objects with this in their key."""
    meanwhile: Callable[[], Awaitable[Any]] | None = None
    """What happens while something is stored."""

    async def put(self, key: str, data: Any) -> int:
        if self.breaks == "put" and self.of in key:
            raise OSError("no space left on device")
        if self.meanwhile is not None:
            await self.meanwhile()
        return await super().put(key, data)

    async def get(self, key: str) -> bytes:
        data = await super().get(key)
        return data[:40] + b"\0" + data[41:] if self.breaks == "torn" and self.of in key else data


class OldBuilds:
    """Makes them for a desk, and looks at them."""

    params, result = PARAMS, RESULT

    def __init__(self, desk: Any, noop: Callable[..., Any], pool: Any, folder: Path) -> None:
        self.desk, self.noop, self.pool, self.wire = desk, noop, pool, Wire(folder)

    async def archived(self, *, failing: str = "t1") -> UUID:
        """One that ended, whose events are in a file."""
        build = await self.ended(failing=failing)
        await Archivist(self.pool, self.wire, after_seconds=0.0).turn()
        return build

    async def ended(self, *, failing: str = "t1") -> UUID:
        """It failed or passed, a finding was approved, a task wrote a letter and on a board."""
        desk, noop = self.desk, self.noop
        tasks = [noop("t0", params=PARAMS, requirements=("R-1", 'R-"2'), seconds=0.1), noop("t1"), noop("t2")]
        build, started = await desk.planned(tasks, [("t0", "t1"), ("t0", "t2"), ("t1", "t2")])
        await desk.journal.boards.post(started["t0"], {"choice": "blue"})
        await desk.connection.execute("select journal.send($1, 't0', 1, 't0', 1, '{t2}', '{hello}')", build)
        await desk.connection.execute("select journal.halt($1, 't0', 'found', factory_now())", build)
        await desk.journal.control.decide(desk.org, build, approve=True, by="me")
        reports = [(started["t0"], Completion(result=RESULT, memo="m0"))]
        while attempts := (await desk.turn(*reports)).started:
            reports = [(a, _end(a.task == failing)) for a in attempts]
        assert await desk.state(build) == ("failed" if failing else "passed")
        return build

    async def rows(self, build: UUID) -> dict[str, list[str]]:
        """Every row as PostgreSQL writes it."""
        found = {}
        for table in TABLES:
            query = f"select t::text from {table} t where build_id = $1 order by 1"
            found[table] = [row["t"] for row in await self.desk.connection.fetch(query, build)]
        return found

    async def told(self, build: UUID) -> list[Any]:
        """What the organisation can read of a build."""
        desk, wire = self.desk, self.wire
        shelf, history = Shelf(desk.journal, wire), History(desk.journal, wire)
        events: list[Any] = []
        while page := await history.events(desk.org, build, after=len(events)):
            events += page
        return [
            await desk.journal.build(desk.org, build),
            await shelf.tasks(desk.org, build),
            await shelf.results(desk.org, build),
            await shelf.results(desk.org, build, ("t1", "t0", "nothing")),
            await history.attempts(desk.org, build),
            events,
        ]


def _end(failed: bool) -> Completion:
    return Completion(kind=CompletionKind.FAILED, reason="no") if failed else Completion(result={"n": 1})
