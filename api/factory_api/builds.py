"""Order, list, look at and cancel builds."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Response, delete, get, post
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec import Example
from litestar.params import BodyKwarg, FromPath, HeaderParameter, QueryParameter

from factory_api.answers import AS_BEFORE, UNCHANGED, problems
from factory_api.errors import NoJson
from factory_api.schemas import (
    EXAMPLE_ORDER,
    BuildDetails,
    BuildPage,
    BuildQuery,
    BuildView,
    NewBuild,
    TaskView,
)
from factory_api.service import BuildDesk, etag_of
from factory_core.builds.estimate import Estimate
from factory_core.builds.journal import AttemptRow
from factory_core.contracts.events import BuildState

Desk = NamedDependency[BuildDesk]
Order = Annotated[
    NewBuild, BodyKwarg(media_type=RequestEncodingType.JSON, examples=[Example(value=EXAMPLE_ORDER)])
]
Key = Annotated[
    str,
    HeaderParameter(
        name="Idempotency-Key",
        max_length=200,
        description="Repeating a request with the same key never starts a second build.",
    ),
]
Limit = Annotated[int, QueryParameter(ge=1, le=200, description="How many at most.")]
Offset = Annotated[int, QueryParameter(ge=0, le=1_000_000, description="How many to pass over.")]
State = Annotated[
    list[BuildState] | None,
    QueryParameter(name="state", description="Only builds in this state; may be repeated."),
]
Sort = Annotated[
    str, QueryParameter(pattern="^-?created_at$", description="created_at, or -created_at: newest first.")
]
Cursor = Annotated[str | None, QueryParameter(max_length=64, description="next of the page before.")]
Since = Annotated[
    UUID | None, QueryParameter(description="Compare with this build instead of the project's newest.")
]
Known = Annotated[str | None, HeaderParameter(name="If-None-Match", description="The ETag you have.")]


def require_json(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Raises NoJson."""
    kind = connection.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise NoJson(kind)


class BuildRoutes(Controller):
    """``/api/v1/builds``."""

    path = "/builds"
    tags = ("builds",)

    @post(
        "/",
        summary="Start a build",
        guards=[require_json],
        responses={**AS_BEFORE, **problems(404, 409, 415, 429)},
    )
    async def create(self, data: Order, desk: Desk, key: Key = "") -> Response[BuildView]:
        """201 and the new build, or 200 and the one that the same Idempotency-Key started before."""
        build, created = await desk.order(data, key=key)
        return Response(
            BuildView.of(await desk.build(build)),
            status_code=201 if created else 200,
            headers={"Location": f"/api/v1/builds/{build}"},
        )

    @post(
        "/estimate",
        status_code=200,
        summary="Say what a build would do again",
        guards=[require_json],
        responses=problems(404, 415),
    )
    async def estimate(self, data: Order, desk: Desk, since: Since = None) -> Estimate:
        """What changed since the project's newest build, and the tasks that nothing is remembered for. Starts nothing."""
        return await desk.estimate(data, since)

    @get("/", summary="List builds", responses=problems())
    async def index(
        self,
        desk: Desk,
        states: State = None,
        sort: Sort = "-created_at",
        limit: Limit = 50,
        offset: Offset = 0,
        cursor: Cursor = None,
    ) -> BuildPage:
        """One page; follow ``next`` with ``cursor``, or count with ``offset``."""
        return await desk.page(
            BuildQuery(
                states=tuple(states or ()),
                newest_first=sort.startswith("-"),
                limit=limit,
                offset=offset,
                cursor=cursor,
            )
        )

    @get("/{build:uuid}", summary="Look at a build", responses={**UNCHANGED, **problems(404)})
    async def show(
        self, build: FromPath[UUID], desk: Desk, known: Known = None
    ) -> Response[BuildDetails | None]:
        """The build, its tasks, and how many are in which state; 304 while nothing happened."""
        row = await desk.build(build)
        headers = {"ETag": etag_of(row.id, row.seq, row.state), "Cache-Control": "no-cache"}
        if known == headers["ETag"]:
            return Response(None, status_code=304, headers=headers)
        tasks = tuple(TaskView.of(task) for task in await desk.tasks(build))
        counts = Counter(str(task.state) for task in tasks)
        details = BuildDetails(build=BuildView.of(row), counts=dict(sorted(counts.items())), tasks=tasks)
        return Response(details, headers=headers)

    @get("/{build:uuid}/attempts", summary="List the tries of its tasks", responses=problems(404))
    async def attempts(self, build: FromPath[UUID], desk: Desk) -> tuple[AttemptRow, ...]:
        """Every try in the order they started: who had it, and the kind of the event that ended it."""
        return await desk.attempts(build)

    @post("/{build:uuid}/cancel", status_code=202, summary="Cancel a build", responses=problems(404, 409))
    async def cancel(self, build: FromPath[UUID], desk: Desk) -> BuildView:
        """Tasks that run are stopped; what is finished is kept. Cancelling twice is no error."""
        return BuildView.of(await desk.cancel(build))

    @delete("/{build:uuid}", status_code=202, summary="Cancel a build (alias)", responses=problems(404, 409))
    async def remove(self, build: FromPath[UUID], desk: Desk) -> BuildView:
        """The same as ``POST …/cancel``."""
        return BuildView.of(await desk.cancel(build))

    @get(
        "/{build:uuid}/report",
        summary="Read the report",
        media_type="application/json",
        responses=problems(404),
    )
    async def report(self, build: FromPath[UUID], desk: Desk) -> Response[bytes]:
        """What was asked, what was made, and what proves it."""
        _, content = await desk.artifact(build, "report.json")
        return Response(content, media_type="application/json")
