"""Following a build: every event once, in order, wherever the follower resumes."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest
from redis import asyncio as redis

from factory_api.events import follow
from factory_api.service import BuildDesk
from factory_core.builds.archive import Archivist
from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Journal
from factory_core.kernel.database import LOCAL_ORGANISATION, open_database
from factory_core.kernel.hints import Hints
from factory_core.kernel.office import make_service
from factory_core.kernel.queue import EVENTS_CHANNEL, Queue, open_queue

pytestmark = pytest.mark.anyio
SSE = {"accept": "text/event-stream"}


async def read_stream(client: Any, path: str, **headers: str) -> list[tuple[int, str]]:
    """Number and kind of every event until the stream ends."""
    found: list[tuple[int, str]] = []
    async with client.stream("GET", path, headers={**SSE, **headers}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        number = 0
        async for line in stream.aiter_lines():
            if line.startswith("id:"):
                number = int(line[3:])
            elif line.startswith("data:"):
                event = json.loads(line[5:])
                assert event["seq"] == number
                found.append((number, event["kind"]))
    return found


async def test_a_stream_tells_everything_once_and_ends_with_the_build(
    client: Any, order: Any, working: Any
) -> None:
    path = f"/api/v1/builds/{(await order())['id']}/events"
    async with working():
        events = await read_stream(client, path)
    assert [number for number, _ in events] == list(range(1, len(events) + 1))
    assert events[0][1] == "build.created"
    assert events[-1][1] == "build.ended"


async def test_whoever_resumes_at_n_sees_what_follows_n(client: Any, ended: Any) -> None:
    path = f"{await ended()}/events"
    everything = await read_stream(client, path)
    for n in range(len(everything)):
        assert await read_stream(client, path, **{"last-event-id": str(n)}) == everything[n:]
        assert await read_stream(client, f"{path}?after={n}") == everything[n:]
    over = await client.get(path, headers={**SSE, "last-event-id": str(len(everything))})
    assert over.status_code == 204, "which tells a browser not to come back"


async def test_polling_in_small_pages_sees_the_same(client: Any, ended: Any) -> None:
    path = f"{await ended()}/events"
    streamed = [number for number, _ in await read_stream(client, path)]
    polled: list[int] = []
    page: dict[str, Any] = {"last": 0, "ended": False}
    while not page["ended"]:
        page = (await client.get(path, params={"after": page["last"], "limit": 2})).json()
        polled += [event["seq"] for event in page["events"]]
    assert polled == streamed


async def test_a_build_that_runs_has_not_ended(client: Any, order: Any) -> None:
    path = f"/api/v1/builds/{(await order())['id']}/events"
    page = (await client.get(path)).json()
    assert (page["last"], page["ended"]) == (1, False)
    assert (await client.get(path, params={"after": 7})).json() == {"events": [], "last": 7, "ended": False}
    for number in (-1, 2**63, 10**20):
        assert (await client.get(path, params={"after": number})).status_code == 422
        assert (await client.get(path, headers={"last-event-id": str(number)})).status_code == 422


async def test_an_archived_build_is_followed_from_any_number(client: Any, studio: Any, ended: Any) -> None:
    path = f"{await ended()}/events"
    everything = await read_stream(client, path)
    async with open_database(studio.database_url(), studio.settings) as database:
        assert await Archivist(database.pool, studio.storage(), after_seconds=0.0).turn() == 1
        left = await database.pool.fetchval("select count(*) from event")
    assert left == 0
    for n in range(len(everything)):
        assert await read_stream(client, path, **{"last-event-id": str(n)}) == everything[n:]
    page = (await client.get(path, params={"after": 1, "limit": 2})).json()
    assert [event["seq"] for event in page["events"]] == [2, 3]


async def test_hints_tell_of_the_watched_build_alone_and_polling_takes_over_without_them(
    valkey_url: str,
) -> None:
    ours, queue, hints = uuid7(), Queue(valkey_url), Hints(valkey_url, calm=600.0, polling=1.0)
    assert hints.patience == 1.0
    listener = asyncio.create_task(hints.run())
    client: Any = redis.Redis.from_url(valkey_url)
    with hints.watch(ours) as bell, hints.watch(uuid7()) as other:
        async with asyncio.timeout(30):
            await hints.listening.wait()
            assert hints.patience == 600.0
            assert bell.is_set(), "what was told before may have been missed"
            for watched in (bell, other):
                watched.clear()
            await client.publish(EVENTS_CHANNEL, b"no build")
            await queue.tell(frozenset([ours]), False)
            await bell.wait()
            assert not other.is_set()
            bell.clear()
            await client.execute_command("client", "kill", "type", "pubsub")
            await bell.wait()
    listener.cancel()
    await queue.close()
    await client.aclose()


async def test_nobody_listens_where_there_is_no_redis() -> None:
    hints = Hints(None)
    await hints.run()
    assert hints.patience == 1.0


async def test_a_hint_reaches_a_stream_that_would_not_look_for_long(studio: Any, order: Any) -> None:
    """With ten minutes between two looks, only hints can bring what happens after the first."""
    build = UUID((await order())["id"])
    hints = Hints(studio.queue_url(), calm=600.0, polling=600.0)
    listener = asyncio.create_task(hints.run())
    async with (
        asyncio.timeout(60),
        open_queue(studio) as queue,
        open_database(studio.database_url(), studio.settings) as database,
    ):
        await hints.listening.wait()
        journal = Journal(database.pool)
        desk = BuildDesk(make_service(studio, journal, queue), journal, database, LOCAL_ORGANISATION)
        stream = follow(desk, hints, build, 0)
        seen = [(await anext(stream)).event]
        await desk.cancel(build)
        seen += [message.event async for message in stream]
    listener.cancel()
    assert seen[0] == "build.created"
    assert seen[-1] == "build.ended"
