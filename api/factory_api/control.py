"""Deciding about builds: pause, resume, answer a halt, retry, fork."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.openapi.spec import Example
from litestar.params import BodyKwarg, FromPath

from factory_api.answers import AS_BEFORE, problems
from factory_api.builds import Key, require_json
from factory_api.schemas import BuildView, Decision, NewFork, PauseOrder, RetryOrder
from factory_api.service import BuildDesk
from factory_core.builds.comparison import BuildComparison

Desk = NamedDependency[BuildDesk]
CHANGING = problems(404, 409, 415)


def _json(example: dict[str, Any]) -> BodyKwarg:
    return BodyKwarg(media_type=RequestEncodingType.JSON, examples=[Example(value=example)])


Why = Annotated[PauseOrder, _json({"reason": "the machine is needed for something else"})]
Answer = Annotated[
    Decision, _json({"decision": "approve", "note": "the key in the example is not a real one"})
]
Again = Annotated[RetryOrder, _json({"tasks": ["web"]})]
Forked = Annotated[NewFork, _json({"task": "web", "params": {}})]


class ControlRoutes(Controller):
    """``/api/v1/builds/{id}/…``: what people decide."""

    path = "/builds"
    tags = ("builds",)

    @post(
        "/{build:uuid}/pause",
        status_code=202,
        summary="Pause a build",
        guards=[require_json],
        responses=CHANGING,
    )
    async def pause(self, build: FromPath[UUID], data: Why, desk: Desk) -> BuildView:
        """Nothing new is started; what runs ends and is kept. The pause is none of the build's time. 409 for a build
        that has ended, stops or waits for a decision; pausing twice is no error."""
        return BuildView.of(await desk.pause(build, data.reason))

    @post(
        "/{build:uuid}/resume", status_code=202, summary="Resume a paused build", responses=problems(404, 409)
    )
    async def resume(self, build: FromPath[UUID], desk: Desk) -> BuildView:
        """It goes on where it was. 409 for a build that has ended, stops or waits for a decision."""
        return BuildView.of(await desk.resume(build))

    @post(
        "/{build:uuid}/decision",
        status_code=202,
        summary="Decide about a halted build",
        responses=CHANGING,
        guards=[require_json],
    )
    async def decide(self, build: FromPath[UUID], data: Answer, desk: Desk) -> BuildView:
        """Approved, it goes on; rejected, it is cancelled. 409 when nothing waits for a decision."""
        return BuildView.of(await desk.decide(build, data))

    @post(
        "/{build:uuid}/retry",
        status_code=202,
        summary="Retry a build",
        guards=[require_json],
        responses={**CHANGING, **problems(429)},
    )
    async def retry(self, build: FromPath[UUID], data: Again, desk: Desk) -> BuildView:
        """Tasks run again with all that follows from them; without names all that did not end well. Of a build that is
        under way only what ended badly can be retried; one that has passed can be forked."""
        return BuildView.of(await desk.retry(build, tuple(data.tasks)))

    @get("/{build:uuid}/compare/{other:uuid}", summary="Compare two builds", responses=problems(404))
    async def compare(self, build: FromPath[UUID], other: FromPath[UUID], desk: Desk) -> BuildComparison:
        """Requirements, gates, files and tasks of the first (left) and the other (right), side by side."""
        return await desk.compare(build, other)

    @post(
        "/{build:uuid}/fork",
        summary="Fork a build",
        guards=[require_json],
        responses={**AS_BEFORE, **CHANGING, **problems(429)},
    )
    async def fork(
        self, build: FromPath[UUID], data: Forked, desk: Desk, key: Key = ""
    ) -> Response[BuildView]:
        """A new build from a task of one that has ended: what does not follow from the task is taken over with its
        results. With another specification it is planned anew. 200 and the first one for a repeated Idempotency-Key."""
        fork, created = await desk.fork(build, data, key=key)
        return Response(
            BuildView.of(await desk.build(fork)),
            status_code=201 if created else 200,
            headers={"Location": f"/api/v1/builds/{fork}"},
        )
