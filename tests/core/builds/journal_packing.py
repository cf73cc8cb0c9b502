"""The machine's moves of upkeep: events and rows of builds that ended go to files, and rows come back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from journal_model import Build

from factory_core.builds.packing import put_back, read_rows

KEPT = {"build.halted", "build.decided", "build.retried"}
"""Events that stay rows when the others move to a file."""


class PackingMoves:
    """Part of JournalMachine."""

    connection: Any
    run: Callable[[Any], Any]
    new_id: Callable[[], UUID]
    builds: dict[Any, Build]
    keys: dict[str, Any]
    org: UUID

    def events_of(self, build: Any) -> list[Any]:
        """In order, those in files included."""
        rows = self.run(self.connection.fetch("select * from event where build_id = $1", build))
        filed = self.builds[build].filed
        assert {row["seq"] for row in rows if row["seq"] in filed and row["kind"] not in KEPT} == set()
        return [event for _, event in sorted({**filed, **{row["seq"]: row for row in rows}}.items())]

    @rule(key=st.sampled_from("xyz"))
    @precondition(lambda self: not all(build.open for build in self.builds.values()))
    def archive(self, key: str) -> None:
        identity = self.keys.get(key)
        if identity is None:
            return
        build, events = self.builds[identity], self.events_of(identity)
        first = max(build.filed, default=0) + 1
        query = "select journal.archive($1, $2, $3, 'key', 'digest', 1)"
        done = self.run(self.connection.fetchval(query, identity, first, len(events)))
        assert done == (not build.open and len(build.filed) < len(events))
        if done:
            build.filed = {event["seq"]: event for event in events}

    @rule(key=st.sampled_from("xyz"), stale=st.sampled_from([False, False, True]))
    @precondition(lambda self: any(build.filed and not build.open for build in self.builds.values()))
    def pack(self, key: str, stale: bool) -> None:
        identity = self.keys.get(key)
        if identity is None:
            return
        build = self.builds[identity]
        rows = self.run(read_rows(self.connection, identity))
        last = sum(build.events.values()) - stale
        query = "select journal.pack($1, $2, $3, 'key', 'digest', 1)"
        done = self.run(self.connection.fetchval(query, identity, last, len(rows)))
        assert done == (not stale and build.archived and build.packed is None)
        if done:
            build.packed = rows

    def unpack(self, identity: Any) -> None:
        """As whoever needs the rows does it; a second time there is nothing to do."""
        build = self.builds[identity]
        chunks = [(table, f"[{row}]") for table, row in build.packed or ()]
        for org, done in ((self.new_id(), False), (self.org, build.packed is not None), (self.org, False)):
            assert self.run(put_back(self.connection, org, identity, "key", chunks)) == done
        build.packed = None

    @rule()
    @precondition(lambda self: not all(build.open or build.packed for build in self.builds.values()))
    def put_all_away(self) -> None:
        """Both, in the order of upkeep, so that it is drawn often."""
        for key in sorted(self.keys):
            self.archive(key)
            self.pack(key, stale=False)
