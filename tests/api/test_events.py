"""Following a build: every event once, in order, wherever the follower resumes."""

from __future__ import annotations

import json
from typing import Any

import pytest

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
