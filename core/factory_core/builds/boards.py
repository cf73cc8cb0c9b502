"""What agents of one build tell each other: the board of a swarm, the mail of a mesh."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any
from uuid import UUID

from factory_core.contracts.agent import Message, Outcome, Posted
from factory_core.contracts.files import FileRef
from factory_core.errors import FactoryError

if TYPE_CHECKING:
    from factory_core.builds.schemas import Assignment
    from factory_core.kernel.database import Connection, Pool

__all__ = ["Boards", "GivenUp", "TaskBoard", "twice_made"]

Tenant = Callable[[UUID], AbstractAsyncContextManager[Any]]

_READ = """
    select key, value, version, task, true as won from board
    where build_id = $1 and starts_with(key, $2) order by key"""
_MAIL = """
    select recipient as to, body, sender from mail
    where build_id = $1 and recipient = $2 and round = $3 order by sender, n"""


class GivenUp(FactoryError):
    """This try lost its task to another one, so it may no longer write."""

    status = 409

    def __init__(self, task: str, fence: int) -> None:
        self.task = task
        self.fence = fence
        super().__init__(f"Try {fence} of {task} was given up. Stop; another try does the work.")


class Boards:
    """Boards and mail of all builds. Part of the journal."""

    def __init__(self, source: Pool | Connection, tenant: Tenant) -> None:
        self._source = source
        self._tenant = tenant

    async def post(
        self, attempt: Assignment, values: Mapping[str, str], versions: Mapping[str, int] | None = None
    ) -> dict[str, Posted]:
        """Compare and set each key. Raises GivenUp. Safe to repeat."""
        keys = sorted(values)
        rows: Sequence[Any] = await self._source.fetch(
            "select * from journal.post($1, $2, $3, $4, $5, $6)",
            attempt.build,
            attempt.task,
            attempt.fence,
            keys,
            [_clean(values[key]) for key in keys],
            [(versions or {}).get(key, 0) for key in keys],
        )
        if keys and not rows:
            raise GivenUp(attempt.task, attempt.fence)
        return {row["key"]: Posted(**dict(row)) for row in rows}

    async def read(self, org: UUID, build: UUID, prefix: str = "") -> tuple[Posted, ...]:
        """What stands under keys that begin so, by key."""
        async with self._tenant(org) as connection:
            return tuple(Posted(**dict(row)) for row in await connection.fetch(_READ, build, prefix))

    async def send(self, attempt: Assignment, outcome: Outcome) -> None:
        """The letters of an outcome. Raises GivenUp. Safe to repeat: the last sending counts."""
        if not outcome.mail:
            return
        params = attempt.params
        sent = await self._source.fetchval(
            "select journal.send($1, $2, $3, $4, $5, $6, $7)",
            attempt.build,
            attempt.task,
            attempt.fence,
            params.get("peer", attempt.task),
            _round(params),
            [message.to for message in outcome.mail],
            [_clean(message.body) for message in outcome.mail],
        )
        if not sent:
            raise GivenUp(attempt.task, attempt.fence)

    async def letters(self, attempt: Assignment) -> tuple[Message, ...]:
        """What was written to the task's ``peer`` in the round before, by sender and in the order of writing."""
        if "peer" not in attempt.params:
            return ()
        async with self._tenant(attempt.org) as connection:
            rows = await connection.fetch(
                _MAIL, attempt.build, attempt.params["peer"], _round(attempt.params) - 1
            )
        return tuple(Message(**dict(row)) for row in rows)


class TaskBoard:
    """The ``Board`` of one try of a task."""

    def __init__(self, boards: Boards, attempt: Assignment) -> None:
        self._boards = boards
        self._attempt = attempt
        self.used = False
        """Whether the task looked at it or wrote on it."""

    async def get(self, key: str) -> Posted:
        """What stands there now."""
        return next((posted for posted in await self.all(key) if posted.key == key), Posted(key=key))

    async def put(self, key: str, value: str, *, version: int) -> Posted:
        """Write, if ``version`` is what stands there. Raises GivenUp."""
        self.used = True
        return (await self._boards.post(self._attempt, {key: value}, {key: version}))[key]

    async def all(self, prefix: str = "") -> tuple[Posted, ...]:
        """What stands under keys that begin so."""
        self.used = True
        return await self._boards.read(self._attempt.org, self._attempt.build, prefix)


async def twice_made(
    boards: Boards, attempt: Assignment, files: Iterable[FileRef], given: Iterable[FileRef] = ()
) -> str:
    """In a swarm nobody drew a map of files beforehand: each task claims the paths it writes on the board, with the digest
    of what it wrote. Why it must not have them; empty when all are its own. What it was ``given`` it may change, as those
    after it may; and the same content from two tasks is no conflict."""
    before = {ref.path for ref in given}
    made = {ref.path: ref.digest for ref in files if ref.path not in before}
    if attempt.params.get("paradigm") != "swarm" or not made:
        return ""
    posted = await boards.post(attempt, {f"path/{path}": digest for path, digest in made.items()})
    found = [(posted[f"path/{path}"], digest) for path, digest in sorted(made.items())]
    taken = [entry for entry, digest in found if entry.value != digest and entry.task != attempt.task]
    if not taken:
        return ""
    makers = sorted({attempt.task, taken[0].task})
    return f"More than one task makes {taken[0].key.removeprefix('path/')}: {' and '.join(makers)}."


def _round(params: Mapping[str, str]) -> int:
    said = params.get("round", "0")
    return int(said) if said.isdecimal() else 0


def _clean(text: str) -> str:
    """Text that PostgreSQL can hold."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
