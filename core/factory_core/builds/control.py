"""What people decide about builds: to stop for a while, to go on, to judge what was found, to run parts again.

Every call may be repeated when its answer was lost: what is as asked already is left as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from msgspec import Struct

from factory_core.builds.errors import (
    BuildMissing,
    BuildPacked,
    BuildUnready,
    IdempotencyConflict,
    QueueFull,
    TaskMissing,
)
from factory_core.builds.ids import uuid7
from factory_core.builds.schemas import Submitted
from factory_core.contracts.events import BuildState

if TYPE_CHECKING:
    from factory_core.kernel.database import Connection, Pool

__all__ = ["LONGEST_WORD", "Control", "ForkOrder"]

LONGEST_WORD = 2000
"""Characters kept of a reason or a note."""


class ForkOrder(Struct, frozen=True, kw_only=True):
    """A fork to be made. ``params`` change those of ``task``; ``options`` are the caller's own."""

    org: UUID
    source: UUID
    task: str
    idem_key: str
    params: dict[str, str] = {}
    options: dict[str, Any] = {}
    by: str = ""

    def digest(self) -> str:
        """What the idempotency key stands for."""
        facts = msgspec.json.encode([self.source, self.task, self.params], order="sorted")
        return hashlib.sha256(facts).hexdigest()


class Control:
    """Writes decisions to the journal. ``by`` is who made them, in words a person reads."""

    def __init__(self, source: Pool | Connection) -> None:
        self._source = source

    async def pause(self, org: UUID, build: UUID, *, by: str = "", reason: str = "") -> bool:
        """Start nothing new; what runs ends and is kept. False: it was paused. Raises BuildMissing, BuildUnready."""
        query = "select * from journal.pause($1, $2, $3, $4)"
        return await self._ask("paused", query, org, build, _clean(by), _clean(reason))

    async def resume(self, org: UUID, build: UUID, *, by: str = "") -> bool:
        """Let a paused build go on; the pause is none of its time. False: it was not paused.

        Raises BuildMissing, and BuildUnready for one that has ended, stops, or waits for a decision."""
        return await self._ask("resumed", "select * from journal.resume($1, $2, $3)", org, build, _clean(by))

    async def decide(self, org: UUID, build: UUID, *, approve: bool, by: str = "", note: str = "") -> bool:
        """Answer a halt: the build goes on, or is cancelled. False: this was the answer already.

        Raises BuildMissing, and BuildUnready when nothing waits for a decision."""
        query = "select * from journal.decide($1, $2, $3, $4, $5)"
        return await self._ask("decided on", query, org, build, approve, _clean(by), _clean(note))

    async def retry(self, org: UUID, build: UUID, *, tasks: Sequence[str] = (), by: str = "") -> bool:
        """Run these tasks again, and all that follows from them; without names all that did not end well.

        A build that failed or was cancelled is opened again. False: that was asked before and is under way.
        Raises BuildMissing, TaskMissing, BuildUnready where nothing can be retried, and QueueFull where that would open
        one build too many."""
        query = "select * from journal.retry($1, $2, $3, $4)"
        names = sorted({_clean(task) for task in tasks}) or None
        return await self._ask("retried", query, org, build, names, _clean(by))

    async def fork(self, order: ForkOrder, *, build: UUID | None = None) -> Submitted:
        """A new build that takes over what is done and does not follow from the order's task, and runs the rest.

        One idempotency key, one build. Raises BuildMissing, TaskMissing, BuildUnready while the source has not ended,
        QueueFull and IdempotencyConflict."""
        row = await self._source.fetchrow(
            "select * from journal.fork($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            order.org,
            build or uuid7(),
            order.idem_key,
            order.source,
            _clean(order.task),
            order.digest(),
            _document(order.options),
            _document(order.params),
            _clean(order.by),
        )
        if row is None:
            raise BuildMissing(order.source)
        _refuse(order.source, row["verdict"], row["state"], "forked")
        if row["spec_digest"] != order.digest():
            raise IdempotencyConflict(order.idem_key, row["build"])
        return Submitted(build=row["build"], created=row["verdict"] == "changed")

    async def _ask(self, what: str, query: str, org: UUID, build: UUID, *facts: Any) -> bool:
        row = await self._source.fetchrow(query, org, build, *facts)
        if row is None:
            raise BuildMissing(build)
        _refuse(build, row["verdict"], row["state"], what)
        return row["verdict"] == "changed"


def _refuse(build: UUID, verdict: str, state: str, what: str) -> None:
    """The error that a verdict of the journal stands for, if it is one."""
    match verdict:
        case "missing":
            raise TaskMissing(build, state)
        case "done":
            raise BuildUnready(
                build, BuildState(state), f"{what} from a task that is done before it has ended"
            )
        case "full":
            raise QueueFull(int(state))
        case "packed":
            raise BuildPacked(build)
        case "refused":
            raise BuildUnready(build, BuildState(state), what)
        case _:
            return


def _document(value: Any) -> str:
    return msgspec.json.encode(value).decode().replace("\\u0000", "\\ufffd")


def _clean(text: str) -> str:
    """What PostgreSQL can hold, and not more of it than anyone reads."""
    return text.replace("\0", "\ufffd")[:LONGEST_WORD]
