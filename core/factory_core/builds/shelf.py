"""Tasks of builds by number, wherever their rows are: in the tables, or packed in a file."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from factory_core.builds.control import Control
from factory_core.builds.errors import ArchiveDamaged, BuildPacked
from factory_core.builds.journal import Journal
from factory_core.builds.packing import TABLES, put_back, unpack_rows
from factory_core.builds.schemas import ResultRow, TaskRow
from factory_core.contracts.storage import Storage

__all__ = ["Shelf"]

ResultT = TypeVar("ResultT")
TRIES = 5
"""Others may bring the rows back and upkeep take them away meanwhile, but hardly so often."""


class Shelf:
    """Reads what packed builds left, and brings it back when one is to run again.

    A build has one task at least: so where there is no row, the rows are in a file, or there is no such build."""

    def __init__(self, journal: Journal, storage: Storage) -> None:
        self._journal = journal
        self._storage = storage

    async def tasks(self, org: UUID, build: UUID) -> tuple[TaskRow, ...]:
        """As Journal.tasks. Raises ArchiveDamaged, ObjectMissing."""
        rows = await self._journal.tasks(org, build)
        found = {} if rows else await self._packed(org, build, ("task", "edge"))
        if not found:
            return rows or await self._journal.tasks(org, build)  # they came back just now
        after: defaultdict[str, list[str]] = defaultdict(list)
        for edge in found["edge"]:
            after[edge["child"]].append(edge["parent"])
        told = [{**task, "after": sorted(after[task["id"]])} for task in found["task"]]
        return tuple(msgspec.convert(task, TaskRow, strict=False) for task in told)

    async def results(
        self, org: UUID, build: UUID, tasks: Sequence[str] | None = None
    ) -> tuple[ResultRow, ...]:
        """As Journal.results. Raises ArchiveDamaged, ObjectMissing."""
        rows = await self._journal.results(org, build, tasks)
        found = {} if rows else await self._packed(org, build, ("task",))
        if not found:
            return rows or await self._journal.results(org, build, tasks)
        named = [task for task in found["task"] if tasks is None or task["id"] in tasks]
        told: list[dict[str, Any]] = [{**task, "result": task["result"] or {}} for task in named]
        return tuple(msgspec.convert(task, ResultRow, strict=False) for task in told)

    async def awake(self, org: UUID, build: UUID, ask: Callable[[Control], Awaitable[ResultT]]) -> ResultT:
        """Ask something of a build that needs its rows. They come back in the same transaction, so that upkeep cannot take
        them away before, and stay where they are if it is refused. Raises what is raised by ``ask``."""
        for _ in range(TRIES):
            with suppress(BuildPacked):
                return await ask(self._journal.control)
            note = await self._journal.packed(org, build)
            if note is None:
                continue  # another has brought them back just now
            chunks = await asyncio.to_thread(list, unpack_rows(note["key"], await self._content(note)))
            async with self._journal.at_once() as (journal, connection):
                if await put_back(connection, org, build, note["key"], chunks):
                    return await ask(journal.control)
        raise BuildPacked(build)

    async def _packed(
        self, org: UUID, build: UUID, tables: Sequence[str] = TABLES
    ) -> dict[str, list[dict[str, Any]]]:
        """Rows by table, in their order; nothing if the build is not packed."""
        note = await self._journal.packed(org, build)
        if note is None:
            return {}
        return await asyncio.to_thread(_rows_by_table, note["key"], await self._content(note), tables)

    async def _content(self, note: Any) -> bytes:
        content = await self._storage.get(note["key"])
        if hashlib.sha256(content).hexdigest() != note["digest"]:
            raise ArchiveDamaged(note["key"], "its digest is another")
        return content


def _rows_by_table(key: str, content: bytes, tables: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {table: [] for table in tables}
    for table, rows in unpack_rows(key, content, tables):
        found[table] += msgspec.json.decode(rows)
    return found
