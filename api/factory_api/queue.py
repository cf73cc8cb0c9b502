"""How the queues do, and what waits for a person; of the caller's organisation."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.openapi.spec import Example
from litestar.params import BodyKwarg, QueryParameter
from msgspec import Meta, Struct

from factory_api.answers import problems
from factory_api.builds import require_json
from factory_api.errors import NoDatabase
from factory_core.builds.deadletters import DeadLetterPage, DeadLetters
from factory_core.builds.figures import QueueFigures, WorkerFigures, queue_figures, worker_figures
from factory_core.kernel.boot import Studio
from factory_core.kernel.database import Database
from factory_core.kernel.queue import Queue

Cursor = Annotated[str | None, QueryParameter(max_length=600, description="next of the page before.")]
Limit = Annotated[int, QueryParameter(ge=1, le=200, description="How many at most.")]


class QueueStatus(Struct, frozen=True, kw_only=True):
    """The queues as far as they are the caller's, and the workers, which are everybody's."""

    queues: tuple[QueueFigures, ...]
    workers: tuple[WorkerFigures, ...]


class Letter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which dead letter: its ``id`` from the list."""

    id: Annotated[str, Meta(min_length=1, max_length=300)]


class Answered(Struct, frozen=True, kw_only=True):
    """What was done with the letter."""

    id: str
    done: str


Chosen = Annotated[
    Letter,
    BodyKwarg(
        media_type=RequestEncodingType.JSON,
        examples=[Example(value={"id": "0198c0de-0000-7000-8000-000000000002"})],
    ),
]


class QueueRoutes(Controller):
    """``/api/v1/queue``."""

    path = "/queue"
    tags = ("queue",)

    @get("/", summary="See how the queues do", responses=problems())
    async def status(
        self,
        studio: NamedDependency[Studio],
        database: NamedDependency[Database | None],
        organisation: NamedDependency[UUID],
        operator: NamedDependency[bool],
    ) -> QueueStatus:
        """Depth, rate, oldest age, running, failures and dead letters of each queue; the workers with slots and beat, which
        have their names for the operator alone."""
        opened = _opened(database)
        names = tuple({job.queue for job in studio.jobs()})
        async with opened.tenant_transaction(organisation) as ours:
            return QueueStatus(
                queues=await queue_figures(ours, names),
                workers=await worker_figures(opened.pool, ours, named=operator),
            )

    @get("/dead", summary="List dead letters", responses=problems())
    async def dead(
        self,
        database: NamedDependency[Database | None],
        organisation: NamedDependency[UUID],
        operator: NamedDependency[bool],
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> DeadLetterPage:
        """Tasks whose workers died three times under them and jobs that used up their attempts, the last to die first;
        follow ``next`` with ``cursor``."""
        opened = _opened(database)
        async with opened.tenant_transaction(organisation) as ours:
            letters = DeadLetters(opened.pool, ours, organisation, named=operator)
            return await letters.page(limit=limit, cursor=cursor)

    @post(
        "/dead/retry",
        status_code=200,
        summary="Retry a dead letter",
        guards=[require_json],
        responses=problems(404, 409, 415),
    )
    async def retry(
        self,
        data: Chosen,
        database: NamedDependency[Database | None],
        organisation: NamedDependency[UUID],
        queue: NamedDependency[Queue],
    ) -> Answered:
        """It is done again, from its first attempt; a build that ended is opened again."""
        pool = _opened(database).pool
        await DeadLetters(pool, pool, organisation, queue).retry(data.id, by="the API")
        return Answered(id=data.id, done="retried")

    @post(
        "/dead/discard",
        status_code=200,
        summary="Discard a dead letter",
        guards=[require_json],
        responses=problems(404, 409, 415),
    )
    async def discard(
        self,
        data: Chosen,
        database: NamedDependency[Database | None],
        organisation: NamedDependency[UUID],
        queue: NamedDependency[Queue],
    ) -> Answered:
        """It stays undone; a build keeps the end it has."""
        pool = _opened(database).pool
        await DeadLetters(pool, pool, organisation, queue).discard(data.id, by="the API")
        return Answered(id=data.id, done="discarded")


def _opened(database: Database | None) -> Database:
    if database is None:
        raise NoDatabase
    return database
