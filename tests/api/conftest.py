from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import httpx
import pytest

from factory_core.builds.delivery import DELIVERY_AGENT
from factory_core.builds.journal import Assignment, Completion, CompletionKind, NewTask
from factory_core.builds.record import TaskRecord
from factory_core.kernel.app import create_app
from factory_core.kernel.boot import Studio, start
from factory_core.kernel.logs import RequestLog
from factory_core.kernel.migrate import migrate
from factory_core.kernel.worker import WorkerOrder, run_worker
from factory_core.settings import read_sources

SPEC = "project: {name: Taskboard}\nentities:\n  Card: {title: text(1..200)}\n"
NEEDED = {"api", "migrations", "storage", "neoforge"}
ARCHIVE = bytes(range(256)) * 40


@pytest.fixture
async def studio(home: Path, database: str, valkey_url: str) -> Studio:
    """What the API stands on, on servers of the test's own."""
    found = [point for point in entry_points(group="factory.plugins") if point.name in NEEDED]
    sources = read_sources(
        {"FACTORY_HOME": str(home), "FACTORY_DATABASE_URL": database, "FACTORY_QUEUE_URL": valkey_url}
    )
    studio = start(sources, found=found)
    assert [state.error for state in await migrate(studio) if state.error] == []
    return studio


@pytest.fixture
async def client(studio: Studio) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(studio)
    transport = httpx.ASGITransport(app=RequestLog(app))
    documented = Documented(app.openapi_schema.to_schema())
    async with (
        app.lifespan(),
        httpx.AsyncClient(
            transport=transport, base_url="http://studio", event_hooks={"response": [documented.check]}
        ) as client,
    ):
        yield client


NEGOTIATED = {
    "application/gzip",
    "application/openmetrics-text",
    "application/zip",
    "text/event-stream",
}
"""What comes instead of the documented kind when it is asked for."""


class Documented:
    """Every answer that a test of the API gets is one that the API's documentation names."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        self._paths = [
            (
                re.compile(re.sub(r"{\w+}", "[0-9a-f-]{36}", path.replace("{project}", "[^/]+"))),
                operations,
            )
            for path, operations in schema["paths"].items()
        ]

    def operation(self, request: httpx.Request) -> dict[str, Any] | None:
        """What is documented of the call; None for a path or method that is not there."""
        for path, operations in self._paths:
            if path.fullmatch(request.url.path):
                return operations.get(request.method.lower())
        return None

    async def check(self, response: httpx.Response) -> None:
        """Fail when the status, or the kind of content it comes with, is not documented."""
        operation = self.operation(response.request)
        if operation is None:
            assert response.is_redirect or response.status_code in (200, 404, 405)
            return
        said = operation["responses"].get(str(response.status_code))
        assert said is not None, f"{response.request.method} {response.url} answers {response.status_code}"
        kind = response.headers.get("content-type", "").partition(";")[0]
        if kind and kind not in NEGOTIATED:
            assert kind in said.get("content", {kind: None}), (response.url, response.status_code, kind)


@pytest.fixture
def order(client: httpx.AsyncClient) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Start a build; its view."""

    async def order(key: str = "", **body: Any) -> dict[str, Any]:
        headers = {"Idempotency-Key": key} if key else {}
        answer = await client.post("/api/v1/builds", json={"spec": SPEC, **body}, headers=headers)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return order


class Finisher:
    """Plans a delivery and hands out an archive, or fails at once."""

    def __init__(self, studio: Studio, *, failing: bool) -> None:
        self._studio = studio
        self._failing = failing

    async def run(self, assignment: Assignment) -> Completion:
        """The task's end."""
        if self._failing:
            return Completion(kind=CompletionKind.FAILED, reason="a gate failed")
        if assignment.agent != DELIVERY_AGENT:
            return Completion(tasks=(NewTask(id="deliver", agent=DELIVERY_AGENT),))
        artifacts: dict[str, Any] = {}
        for name, content in (("zip", ARCHIVE), ("tar.gz", ARCHIVE[::-1]), ("report.json", b'{"gates": []}')):
            key = f"artifacts/{assignment.build}/taskboard.{name}"
            await self._studio.storage().put(key, content)
            artifacts[name] = {
                "name": f"taskboard.{name}",
                "key": key,
                "sha256": hashlib.sha256(content).hexdigest(),
                "size": len(content),
                "media_type": "application/octet-stream",
            }
        return Completion(result=TaskRecord(data={"artifacts": artifacts}).to_json())


@pytest.fixture
async def working(studio: Studio) -> AsyncIterator[Callable[..., Any]]:
    """``async with working():``: a worker runs meanwhile."""
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def working(*, failing: bool = False) -> AsyncIterator[None]:
        stop = asyncio.Event()
        order = WorkerOrder(database_url=studio.database_url(), queue_url=studio.queue_url(), slots=2)
        worker = asyncio.create_task(run_worker(order, Finisher(studio, failing=failing), stop=stop))
        try:
            yield
        finally:
            stop.set()
            await worker

    return working


@pytest.fixture
def ended(client: httpx.AsyncClient, order: Any, working: Any) -> Callable[..., Awaitable[str]]:
    """A build that has ended; its path."""

    async def ended(*, failing: bool = False) -> str:
        path = f"/api/v1/builds/{(await order())['id']}"
        async with (
            working(failing=failing),
            client.stream("GET", f"{path}/events", headers={"accept": "text/event-stream"}) as stream,
        ):
            async for _ in stream.aiter_lines():
                pass
        return path

    return ended
