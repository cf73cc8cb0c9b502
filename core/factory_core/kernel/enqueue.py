"""Asking for ordinary jobs. Boot imports this, so it is light; ``jobs.py`` runs what is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from factory_core.builds.ids import uuid7
from factory_core.contracts.jobs import Job
from factory_core.errors import EnvironmentUnfit, JobRefused

if TYPE_CHECKING:
    from factory_core.kernel.queue import Queue

__all__ = ["OPERATOR", "OpenQueue"]

OPERATOR = UUID("00000000-0000-7000-8000-000000000001")
"""The operator's organisation: jobs of nobody in particular are its own."""
LARGEST_PAYLOAD = 65_536
"""Bytes of JSON. What is larger belongs into the storage, and its key into the payload."""
_INSERT = """
    insert into job (id, org_id, queue, name, payload, key, max_attempts, run_at, created_at)
    select $1::uuid, o.id, $4::text, $5::text, $6::jsonb, $7::text, $8::integer,
        factory_now() + $9 * interval '1 second', factory_now()
    from (select coalesce($2, nullif(current_setting('factory.org', true), '')::uuid, $3) as id) o
    where not exists (select from dead_job d where d.org_id = o.id and d.name = $5 and d.key = $7)
    on conflict (org_id, name, key) where key is not null do nothing returning id"""
_SAME = """
    select id from (
        select id, org_id from job where name = $1 and key = $2
        union all select id, org_id from dead_job where name = $1 and key = $2) x
    where org_id = coalesce($3, nullif(current_setting('factory.org', true), '')::uuid, $4)"""


class NoDatabaseYet(EnvironmentUnfit):
    """A job was asked for before the database was opened."""

    def __init__(self) -> None:
        super().__init__(
            "No database is open, so no job can be kept. Enqueue from routes, jobs and commands, not at boot."
        )


class OpenQueue:
    """The ``JobQueue`` of a booted studio (contracts/jobs.py), over the process's database."""

    def __init__(self, offered: Callable[[], Sequence[Job]]) -> None:
        self._offered = offered
        self.reminder: Queue | None = None
        """Reminds workers; without one they find the job within a second."""

    async def enqueue(
        self,
        job: str,
        payload: Mapping[str, Any] | None = None,
        *,
        org: UUID | None = None,
        delay: float = 0.0,
        key: str = "",
    ) -> UUID:
        """As the contract says."""
        known = {each.name: each for each in self._offered()}
        if job not in known:
            names = ", ".join(sorted(known)) or "none"
            raise JobRefused(job, f"no plugin offers it (offered: {names}). Return it from factory_jobs.")
        document = _document(job, payload or {})
        order, identity = known[job], uuid7()
        connection, committed = _connection()
        while not await connection.fetchval(
            _INSERT, identity, org, OPERATOR, order.queue, job, document, key or None, order.attempts,
            max(0.0, delay),
        ):  # fmt: skip
            if same := await connection.fetchval(_SAME, job, key, org, OPERATOR):
                return same
            # It went between the two statements: forgotten, or discarded.
        # Before the commit nobody sees the row, and afterwards a worker looks within a second.
        if self.reminder is not None and committed and delay <= 0:
            await self.reminder.ring(identity, queue=order.queue)
        return identity


def _connection() -> tuple[Any, bool]:
    """What to write over, and whether that commits at once."""
    from factory_core.kernel.database import DB  # heavy, and this module is loaded at every boot

    transaction: Any = DB.current_transaction.get()
    if transaction is not None:
        return transaction.connection, False
    if DB.pool is None:
        raise NoDatabaseYet
    return DB.pool, True


def _document(job: str, payload: Mapping[str, Any]) -> str:
    try:
        text = msgspec.json.encode(dict(payload)).decode()
    except (TypeError, ValueError) as error:
        raise JobRefused(
            job, f"its payload is no JSON ({error}). Pass text, numbers, lists and maps."
        ) from error
    if len(text.encode()) > LARGEST_PAYLOAD:
        raise JobRefused(
            job, f"its payload is larger than {LARGEST_PAYLOAD} bytes. Store it, and pass its key."
        )
    return text.replace("\\u0000", "\\ufffd")
