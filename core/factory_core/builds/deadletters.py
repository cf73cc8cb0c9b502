"""Dead letters: work that failed too often and waits for a person. Tasks of builds, and ordinary jobs.

A task is quarantined when its worker died three times under it; a job is dead after its last attempt. Both can be
retried, or discarded, which leaves a build with the end it has.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from msgspec import Struct

from factory_core.builds.control import Control
from factory_core.builds.errors import CursorUnknown
from factory_core.builds.figures import BUILDS
from factory_core.builds.masking import masked
from factory_core.builds.wake import Reminds
from factory_core.errors import FactoryError

if TYPE_CHECKING:
    from factory_core.kernel.database import Connection

__all__ = [
    "LARGEST_PAGE",
    "DeadLetter",
    "DeadLetterPage",
    "DeadLetters",
    "LetterMissing",
    "LostAttempt",
    "NotDead",
]

LARGEST_PAGE = 200

_LAST = datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1), ""
"""Before the first letter. Letters have an order of their own: when they died, then whose they are."""

_TASKS = """
    select t.build_id, t.id, t.org_id, t.title, t.agent, t.reason, t.crashes, t.ended_at as died_at, b.created_at,
        b.options ->> 'project' as project
    from (
        select * from task where state = 'quarantined' and (ended_at, build_id, id) < ($2, $3, $4)
        order by ended_at desc, build_id desc, id desc limit $1
    ) t
    join build b on b.id = t.build_id"""
# A task's last attempts, newest first, each with the worker that held it. Events of a build are few beside its index.
_ATTEMPTS = """
    select a.fence, a.worker, a.started_at, a.ended_at, a.outcome, e.body ->> 'reason' as reason
    from attempt a
    left join event e on e.build_id = a.build_id and e.task = a.task and e.fence = a.fence and e.kind = a.outcome
    where a.build_id = $1 and a.task = $2 order by a.fence desc limit 10"""
_NAMES = """
    select id, name from worker where id = any ($1) union select id, name from past_worker where id = any ($1)"""
_QUARANTINED = "select org_id, state from task where build_id = $1 and id = $2"
_JOBS = "select * from dead_job where (died_at, id) < ($2, $3) order by died_at desc, id desc limit $1"
_TOTAL = """
    select (select count(*) from task where state = 'quarantined') + (select count(*) from dead_job)"""


class LetterMissing(FactoryError):
    """No dead letter of this id, or of another organisation."""

    status = 404
    exit_code = 64

    def __init__(self, letter: str) -> None:
        self.letter = letter[:300]
        super().__init__(f"There is no dead letter {self.letter!r}. 'studio queue dead' lists them.")


class NotDead(FactoryError):
    """A task that is not quarantined (any more)."""

    status = 409

    def __init__(self, letter: str) -> None:
        self.letter = letter
        super().__init__(
            f"Task {letter} is not quarantined; somebody may have retried or discarded it already. Tasks that ended "
            "otherwise run again with 'studio builds retry'."
        )


class LostAttempt(Struct, frozen=True, kw_only=True):
    """One attempt at a quarantined task. ``worker`` is, for the operator, its name where it is still known, else its id."""

    fence: int
    worker: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str
    reason: str


class DeadLetter(Struct, frozen=True, kw_only=True):
    """``id`` is what retry and discard take: a job's id, or ``<build>:<task>``."""

    id: str
    kind: str
    """``task`` or ``job``."""
    queue: str
    org: UUID
    name: str
    cause: str
    attempts: int
    created_at: datetime
    died_at: datetime
    build: UUID | None = None
    task: str = ""
    project: str = ""
    payload: dict[str, Any] = {}
    """A job's; values whose names speak of secrets are masked."""
    tries: tuple[LostAttempt, ...] = ()
    """A task's last attempts, newest first."""


class DeadLetterPage(Struct, frozen=True, kw_only=True):
    """Those that died last first. ``next`` is the cursor of the next page, None on the last; ``total`` counts all pages."""

    items: tuple[DeadLetter, ...]
    next: str | None
    total: int


class DeadLetters:
    """The dead letters of one organisation, or of all for the operator (``org`` None).

    ``writer`` runs the journal's functions, as its owner; ``reader`` sees the organisation's rows only. ``queue`` is told of
    what was decided. ``named``: whoever asks may know the names of workers, which tell of hosts."""

    def __init__(
        self,
        writer: Connection,
        reader: Connection,
        org: UUID | None,
        queue: Reminds | None = None,
        *,
        named: bool = True,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._org = org
        self._queue = queue
        self._named = named

    async def page(self, *, limit: int = 50, cursor: str | None = None) -> DeadLetterPage:
        """Tasks and jobs together. Letters that come or go meanwhile move no other from page to page.

        Raises CursorUnknown."""
        limit = min(max(limit, 1), LARGEST_PAGE)
        died_at, identity, task = _LAST if cursor is None else _from_cursor(cursor)
        tasks = await self._reader.fetch(_TASKS, limit + 1, died_at, identity, task)
        jobs = await self._reader.fetch(_JOBS, limit + 1, died_at, identity)
        found = sorted([*tasks, *jobs], key=_place_of, reverse=True)
        return DeadLetterPage(
            items=tuple([await self._letter(row) for row in found[:limit]]),
            next=_to_cursor(found[limit - 1]) if len(found) > limit else None,
            total=await self._reader.fetchval(_TOTAL),
        )

    async def discard(self, letter: str, *, by: str = "") -> None:
        """Accept that it stays undone. Raises LetterMissing, NotDead."""
        build, task = _place(letter)
        if build is None:
            await self._change("select journal.discard_job($1, $2)", letter, task)
            return
        done = await self._writer.fetchval(
            "select journal.discard_task($1, $2, $3, $4)", self._org, build, task, by[:200]
        )
        _require(letter, done)
        if self._queue is not None:
            await self._queue.tell(frozenset((build,)), False)

    async def retry(self, letter: str, *, by: str = "") -> None:
        """Have it done again, from its first attempt; a build that ended is opened again.

        Raises LetterMissing, NotDead, and BuildUnready for a task of a build that is being stopped."""
        build, task = _place(letter)
        if build is None:
            await self._change("select journal.revive_job($1, $2)", letter, task)
            return
        row = await self._reader.fetchrow(_QUARANTINED, build, task)
        if row is None or (self._org is not None and row["org_id"] != self._org):
            raise LetterMissing(letter)
        _require(letter, row["state"] == "quarantined")
        await Control(self._writer).retry(row["org_id"], build, tasks=[task], by=by)
        if self._queue is not None:
            await self._queue.wake(build)

    async def _change(self, query: str, letter: str, identity: str) -> None:
        try:
            found = await self._writer.fetchval(query, self._org, UUID(identity))
        except ValueError:
            raise LetterMissing(letter) from None
        if not found:
            raise LetterMissing(letter)

    async def _letter(self, row: Any) -> DeadLetter:
        return await self._task(row) if "build_id" in row else _job(row)

    async def _task(self, row: Any) -> DeadLetter:
        found = await self._reader.fetch(_ATTEMPTS, row["build_id"], row["id"])
        known = [attempt["worker"] for attempt in found] if self._named else []
        rows = await self._writer.fetch(_NAMES, known)
        names = {named["id"]: named["name"] for named in rows}
        return DeadLetter(
            id=f"{row['build_id']}:{row['id']}",
            kind="task",
            queue=BUILDS,
            org=row["org_id"],
            name=row["title"] or row["agent"],
            cause=row["reason"] or "its workers died",
            attempts=row["crashes"],
            created_at=row["created_at"],
            died_at=row["died_at"],
            build=row["build_id"],
            task=row["id"],
            project=row["project"] or "",
            tries=tuple(
                LostAttempt(
                    fence=attempt["fence"],
                    worker=names.get(attempt["worker"], str(attempt["worker"])),
                    started_at=attempt["started_at"],
                    ended_at=attempt["ended_at"],
                    outcome=attempt["outcome"] or "",
                    reason=attempt["reason"] or "",
                )
                for attempt in found
            ),
        )


def _job(row: Any) -> DeadLetter:
    return DeadLetter(
        id=str(row["id"]),
        kind="job",
        queue=row["queue"],
        org=row["org_id"],
        name=row["name"],
        cause=row["error"],
        attempts=row["attempts"],
        created_at=row["created_at"],
        died_at=row["died_at"],
        payload=masked(msgspec.json.decode(row["payload"])),
    )


def _place_of(row: Any) -> tuple[datetime, UUID, str]:
    """Where its letter stands among all; as the statements above compare."""
    if "build_id" in row:
        return row["died_at"], row["build_id"], row["id"]
    return row["died_at"], row["id"], ""


def _to_cursor(row: Any) -> str:
    died_at, identity, task = _place_of(row)
    return base64.urlsafe_b64encode(f"{died_at.isoformat()} {identity} {task}".encode()).decode().rstrip("=")


def _from_cursor(cursor: str) -> tuple[datetime, UUID, str]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        died_at, identity, task = text.split(" ", 2)
        if "\0" in task:  # no text column holds it
            raise CursorUnknown(cursor)
        return datetime.fromisoformat(died_at).astimezone(UTC), UUID(identity), task
    except (ValueError, OverflowError, binascii.Error) as error:
        raise CursorUnknown(cursor) from error


def _place(letter: str) -> tuple[UUID | None, str]:
    """Build and task, or None and what should be a job's id. Raises LetterMissing."""
    build, colon, task = letter.partition(":")
    if not colon:
        return None, letter
    if "\0" in task:  # no text column holds it
        raise LetterMissing(letter)
    try:
        return UUID(build), task
    except ValueError:
        raise LetterMissing(letter) from None


def _require(letter: str, done: bool | None) -> None:
    if done is None:
        raise LetterMissing(letter)
    if not done:
        raise NotDead(letter)
