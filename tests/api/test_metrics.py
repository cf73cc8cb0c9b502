"""``/metrics``: figures of the whole studio, for the operator."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from factory_core.builds.ids import uuid7
from factory_core.kernel.app import create_app
from factory_core.kernel.boot import start
from factory_core.settings import read_sources

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]


async def figures(client: httpx.AsyncClient) -> dict[tuple[str, str], float]:
    """(metric, its label) -> value."""
    answer = await client.get("/metrics")
    assert answer.status_code == 200, answer.text
    samples = [sample for family in parse(answer.text) for sample in family.samples]
    return {(sample.name, next(iter(sample.labels.values()), "")): sample.value for sample in samples}


async def test_the_metrics_follow_the_work(
    client: httpx.AsyncClient, order: Any, ended: Any, studio: Any
) -> None:
    before = await figures(client)
    assert before["factory_queue_depth", "builds"] == 0
    await order()
    assert (await figures(client))["factory_builds_open", "queued"] == 1
    assert (await figures(client))["factory_queue_depth", "builds"] == 1
    await ended()
    await ended(failing=True)
    connection: Any = await asyncpg.connect(studio.database_url())
    query = "insert into dead_job values ($1, $2, 'notifications', 'mail', '{}', 5, 'away', now(), now())"
    await connection.execute(query, uuid7(), uuid7())  # of another organisation: the operator sees all
    await connection.close()
    after = await figures(client)
    assert after["factory_builds_recent_endings", "passed"] == 2  # what was ordered first, too
    assert after["factory_builds_recent_endings", "failed"] == 1
    assert after["factory_builds_open", "queued"] == after["factory_queue_depth", "builds"] == 0
    assert after["factory_queue_recent_completions", "builds"] >= 4
    assert after["factory_queue_recent_failures", "builds"] == 1
    assert after["factory_queue_dead_letters", "notifications"] == 1
    assert before.keys() <= after.keys()


async def test_they_tell_of_workers(client: httpx.AsyncClient, working: Any, order: Any) -> None:
    assert (await figures(client))["factory_workers", ""] == 0
    await order()
    async with working():
        while (await figures(client))["factory_workers", ""] == 0:
            pass
        assert (await figures(client))["factory_worker_slots", ""] == 2


async def test_names_are_as_prometheus_wants_them_and_documented(client: httpx.AsyncClient) -> None:
    families = list(parse((await client.get("/metrics")).text))
    page = (ROOT / "docs" / "howto" / "operate.md").read_text()
    for family in families:
        assert re.fullmatch(r"factory_[a-z_]+", family.name)
        assert not re.search(r"_(total|count|sum|bucket|minutes|ms)$", family.name), family.name
        assert family.documentation.endswith("."), family.name
        assert f"`{family.name}`" in page, family.name
    assert len(families) > 10


async def test_openmetrics_is_given_to_whom_accepts_it(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
    assert (await client.get("/metrics")).headers["content-type"].startswith("text/plain; version=")


def reader(home: Path, host: str, **variables: str) -> httpx.AsyncClient:
    """Asks an application that was given no database: who is let in hears of that."""
    found = [point for point in entry_points(group="factory.plugins") if point.name in ("api", "storage")]
    studio = start(read_sources({"FACTORY_HOME": str(home), **variables}), found=found)
    transport = httpx.ASGITransport(app=create_app(studio), client=(host, 4000))
    return httpx.AsyncClient(transport=transport, base_url="http://studio")


@pytest.mark.parametrize(
    ("host", "headers", "status"),
    [
        ("127.0.0.1", {}, 503),
        ("::1", {}, 503),
        ("10.1.2.3", {}, 403),
        ("127.0.0.1", {"x-forwarded-for": "10.1.2.3"}, 403),
        ("127.0.0.1", {"forwarded": "for=127.0.0.1"}, 403),
        ("10.1.2.3", {"authorization": "Bearer "}, 403),
    ],
)
async def test_without_a_token_only_this_machine_reads_them(
    host: str, headers: dict[str, str], status: int, home: Path
) -> None:
    async with reader(home, host) as client:
        answer = await client.get("/metrics", headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/problem+json")
    if status == 403:
        assert "FACTORY_API_METRICS_TOKEN" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("host", "sent", "status"),
    [
        ("10.1.2.3", "Bearer open sesame", 503),
        ("10.1.2.3", "Bearer open", 403),
        ("127.0.0.1", "", 403),
        ("127.0.0.1", "open sesame", 403),
        ("127.0.0.1", "Bearer \u00f6pen", 403),
    ],
)
async def test_with_a_token_whoever_sends_it_reads_them(
    host: str, sent: str, status: int, home: Path
) -> None:
    async with reader(home, host, FACTORY_API_METRICS_TOKEN="open sesame") as client:
        answer = await client.get("/metrics", headers={"authorization": sent.encode()})
    assert answer.status_code == status, answer.text
    assert "sesame" not in answer.text
