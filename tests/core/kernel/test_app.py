"""The web application: answers, problems and documentation."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from litestar.testing import AsyncTestClient

from factory_core.contracts.sandbox import ProbeRow
from factory_core.errors import SandboxUnavailable
from factory_core.kernel.app import create_app
from factory_core.kernel.logs import RequestLog, configure_logging
from factory_core.settings import KernelSettings

pytestmark = pytest.mark.anyio

ROUTES = """
from typing import Annotated
from litestar import get, post
from msgspec import Meta, Struct
from factory_core.errors import FactoryError
from factory_core.settings import Secret

class Part(Struct, forbid_unknown_fields=True):
    n: int

class Body(Struct, forbid_unknown_fields=True):
    a: int
    b: Annotated[str, Meta(min_length=2)] = "xx"
    parts: list[Part] = []

class CardLocked(FactoryError):
    status = 409
    def __init__(self) -> None:
        self.card = 7
        self.key = Secret("hunter2")
        super().__init__("Card 7 is locked. Unlock it first.")

@post("/echo")
async def echo(data: Body) -> Body:
    return data

@get("/ask")
async def ask(n: int) -> int:
    return n

@get("/locked")
async def locked() -> None:
    raise CardLocked

@get("/crash")
async def crash() -> None:
    raise RuntimeError("the password is hunter2")

@hookimpl
def factory_routes():
    return [echo, ask, locked, crash]
"""


@pytest.fixture
async def client(shelf: Any) -> Any:
    shelf.add("routes", ROUTES)
    async with AsyncTestClient(RequestLog(create_app(shelf.boot())), raise_server_exceptions=False) as client:
        yield client


async def test_a_kernel_without_plugins_lives_and_says_what_it_lacks(shelf: Any) -> None:
    async with AsyncTestClient(create_app(shelf.boot())) as client:
        assert (await client.get("/health/live")).status_code == 200
        ready = await client.get("/health/ready")
    assert ready.status_code == 503
    assert ready.json()["status"] == "unavailable"
    assert "FACTORY_DATABASE_URL" in ready.text


async def test_readiness_asks_the_servers_and_every_plugin(
    shelf: Any, database: str, valkey_url: str
) -> None:
    shelf.add(
        "checks",
        """
        import asyncio
        from factory_core.contracts.health import HealthReport
        class Fine:
            name = "fine"
            async def check(self): return HealthReport(ok=True)
        class Ill:
            name = "ill"
            async def check(self): raise OSError("no such file")
        @hookimpl
        def factory_health(): return [Fine(), Ill()]
        """,
    )
    studio = shelf.boot(FACTORY_DATABASE_URL=database, FACTORY_QUEUE_URL=valkey_url)
    async with AsyncTestClient(create_app(studio)) as client:
        answer = await client.get("/health/ready")
    assert answer.status_code == 200
    checks = {check["name"]: check for check in answer.json()["checks"]}
    assert {name: check["ok"] for name, check in checks.items()} == {
        "database": True,
        "queue": True,
        "fine": True,
        "ill": False,
        "sandbox": True,
    }
    assert "no such file" in checks["ill"]["detail"]
    assert "escapes refused" in checks["sandbox"]["detail"]
    assert answer.json()["status"] == "degraded"


class NoSandbox:
    """A backend on a machine that cannot contain anything."""

    async def quick_probe(self) -> tuple[ProbeRow, ...]:
        raise SandboxUnavailable("There is no bubblewrap. Install it.")


class LeakySandbox:
    """A backend that one escape gets through."""

    async def quick_probe(self) -> tuple[ProbeRow, ...]:
        return (ProbeRow(name="TCP out", refused=False), ProbeRow(name="mount", refused=True))


@pytest.mark.parametrize(
    ("backend", "said"),
    [(NoSandbox, "Install it."), (LeakySandbox, "it did not refuse: TCP out; see studio doctor")],
)
async def test_a_web_process_without_a_sandbox_serves_and_says_so(
    shelf: Any, database: str, monkeypatch: pytest.MonkeyPatch, backend: Any, said: str
) -> None:
    monkeypatch.setattr("factory_core.kernel.health.choose_sandbox", backend)
    studio = shelf.boot(FACTORY_DATABASE_URL=database)
    async with AsyncTestClient(create_app(studio)) as client:
        answer = await client.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    (row,) = [check for check in answer.json()["checks"] if check["name"] == "sandbox"]
    assert (row["ok"], row["required"]) == (False, False)
    assert said in row["detail"]


async def test_a_queue_that_is_gone_degrades_and_does_not_stop(shelf: Any, database: str) -> None:
    studio = shelf.boot(FACTORY_DATABASE_URL=database, FACTORY_QUEUE_URL="redis://127.0.0.1:1/0")
    async with AsyncTestClient(create_app(studio)) as client:
        answer = await client.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"a": "b"}, "a", "Expected `int`, got `str`"),
        ({}, "a", "is required"),
        ({"a": 1, "b": "x"}, "b", "Expected `str` of length >= 2"),
        ({"a": 1, "zz": 1}, "zz", "is not a known field"),
        ({"a": 1, "parts": [{"n": 1}, {"n": "x"}]}, "parts[1].n", "Expected `int`, got `str`"),
        ({"a": 1, "parts": [{"n": 1, "m": 2}]}, "parts[0].m", "is not a known field"),
    ],
)
async def test_a_bad_body_is_422_and_names_the_field(
    client: Any, body: Any, field: str, message: str
) -> None:
    answer = await client.post("/echo", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"] == [{"field": field, "message": message}]


async def test_what_is_no_json_is_400(client: Any) -> None:
    answer = await client.post("/echo", content=b"{", headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["status"]) == (400, 400)


@pytest.mark.parametrize("query", ["", "?n=x"])
async def test_a_bad_parameter_is_422_and_is_named(client: Any, query: str) -> None:
    answer = await client.get(f"/ask{query}")
    assert answer.status_code == 422
    assert "n" in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("POST", "/ask", 405), ("PUT", "/health/live", 405)],
)
async def test_missing_paths_and_methods_are_problems_too(
    client: Any, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, path)
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["instance"]) == (status, status, path)
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["request_id"] == answer.headers["x-request-id"] != ""


async def test_an_error_of_ours_carries_its_facts_and_no_secret(client: Any) -> None:
    answer = await client.get("/locked")
    problem = answer.json()
    assert answer.status_code == 409
    assert problem["type"] == "urn:factory:problem:card-locked"
    assert problem["detail"] == "Card 7 is locked. Unlock it first."
    assert problem["card"] == 7
    assert "hunter2" not in answer.text


async def test_a_crash_tells_the_log_everything_and_the_client_nothing(
    client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(KernelSettings())
    answer = await client.get("/crash", headers={"x-request-id": "abc-1"})
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.json()["request_id"] == "abc-1"
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    crash = next(line for line in lines if line["event"] == "request failed")
    assert "RuntimeError: the password is hunter2" in crash["exception"]
    assert crash["request_id"] == "abc-1"
    logging.getLogger().handlers.clear()


async def test_a_request_id_that_is_no_word_is_replaced(client: Any) -> None:
    answer = await client.get("/health/live", headers={"x-request-id": "a\tb" + "c" * 200})
    assert len(answer.headers["x-request-id"]) == 32


async def test_the_documentation_lists_every_route_without_a_script(client: Any) -> None:
    document = (await client.get("/api/docs/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert {"/echo", "/ask", "/health/live", "/health/ready"} <= set(document["paths"])
    page = (await client.get("/api/docs")).text
    assert "/echo" in page
    assert "<script" not in page


async def test_a_handler_that_litestar_refuses_switches_its_plugin_off(shelf: Any) -> None:
    shelf.add("routes", ROUTES)
    shelf.add(
        "zbroken",
        """
        from litestar import get
        @get("/untyped")
        async def untyped(thing: "NoSuchType") -> None: ...
        @hookimpl
        def factory_routes(): return [untyped]
        """,
    )
    studio = shelf.boot()
    async with AsyncTestClient(create_app(studio)) as client:
        assert (await client.get("/ask?n=3")).json() == 3
    off = {report.name: report.cause for report in studio.reports() if not report.on}
    assert list(off) == ["zbroken"]
    assert "NoSuchType" in off["zbroken"]
