"""Following a build: by asking again, or as a stream that resumes where it broke off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, QueryParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage

from factory_api.answers import OVER, problems
from factory_api.schemas import EventPage
from factory_api.service import BuildDesk
from factory_core.contracts.events import ENDED
from factory_core.kernel.hints import Hints

PAGE = 500
PING_SECONDS = 15.0
LARGEST = 2**63 - 1

After = Annotated[int, QueryParameter(ge=0, le=LARGEST, description="The number of the last event you have.")]
LastEvent = Annotated[
    int | None,
    HeaderParameter(name="Last-Event-ID", ge=0, le=LARGEST, description="The same, sent by browsers."),
]
Limit = Annotated[int, QueryParameter(ge=1, le=1000)]


class EventRoutes(Controller):
    """``/api/v1/builds/{id}/events``."""

    path = "/builds"
    tags = ("events",)

    @get("/{build:uuid}/events", summary="Follow a build", responses={**OVER, **problems(404)})
    async def events(
        self,
        build: FromPath[UUID],
        request: Request[object, object, State],
        desk: NamedDependency[BuildDesk],
        hints: NamedDependency[Hints],
        after: After = 0,
        last_event: LastEvent = None,
        limit: Limit = PAGE,
    ) -> Response[EventPage] | ServerSentEvent | Response[None]:
        """Events after a number, as JSON; as a stream when ``text/event-stream`` is asked for. A stream ends with the
        build, and answers 204 when there is nothing left to say, which tells a browser not to come back."""
        start = last_event if last_event is not None else after
        row = await desk.build(build)
        if "text/event-stream" not in request.headers.get("accept", ""):
            events = await desk.events(build, after=start, limit=limit)
            last = events[-1].seq if events else start
            return Response(EventPage(events=events, last=last, ended=row.state in ENDED and last >= row.seq))
        if row.state in ENDED and start >= row.seq:
            return Response(None, status_code=204)
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return ServerSentEvent(follow(desk, hints, build, start), headers=headers)


async def follow(
    desk: BuildDesk, hints: Hints, build: UUID, after: int
) -> AsyncGenerator[ServerSentEventMessage, None]:
    """Every event once, in order, until the build has ended and all is said. A hint makes it look at once."""
    with hints.watch(build) as bell:
        said = asyncio.get_running_loop().time()
        while True:
            bell.clear()
            # The state is read before the events: what ended then has all its events written.
            row = await desk.build(build)
            events = await desk.events(build, after=after, limit=PAGE) if row.seq > after else ()
            for event in events:
                after = event.seq
                data = msgspec.json.encode(event).decode()
                yield ServerSentEventMessage(data=data, event=event.kind, id=str(event.seq))
            if row.state in ENDED and after >= row.seq:
                return
            now = asyncio.get_running_loop().time()
            if not events and now - said >= PING_SECONDS:
                yield ServerSentEventMessage(comment="still here")
            said = now if events or now - said >= PING_SECONDS else said
            if not events or after >= row.seq:
                with suppress(TimeoutError):
                    async with asyncio.timeout(hints.patience):
                        await bell.wait()
