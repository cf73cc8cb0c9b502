"""``/api/v1/shares``: what projects and organisations get, who may say so, and that builds under way follow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Journal
from factory_core.builds.shares import ProjectShare
from factory_core.kernel.app import create_app
from factory_core.kernel.boot import start
from factory_core.kernel.database import LOCAL_ORGANISATION
from factory_core.settings import read_sources

pytestmark = pytest.mark.anyio
SHARES = "/api/v1/shares"
TASKBOARD = f"{SHARES}/projects/taskboard"
OURS = f"{SHARES}/organisations/{LOCAL_ORGANISATION}"
EVERYTHING = {
    "weight": 1,
    "reserved": False,
    "max_running": None,
    "max_builds": None,
    "max_queued": None,
    "max_memory": None,
}

NOTHING = {"running": 0, "ready": 0, "builds": 0, "processor_seconds": None, "memory": None}


@pytest.fixture
async def journal(studio: Any) -> AsyncIterator[Journal]:
    connection: Any = await asyncpg.connect(studio.database_url())
    yield Journal(connection)
    await connection.close()


async def test_an_organisation_sees_what_it_gets_and_what_it_holds(
    client: httpx.AsyncClient, order: Any, journal: Journal
) -> None:
    nothing = (await client.get(SHARES)).json()
    assert (nothing["organisation"], nothing["share"]) == (str(LOCAL_ORGANISATION), EVERYTHING)
    assert (nothing["holds"], nothing["projects"]) == (NOTHING, [])
    await order()
    await order(spec="project: {name: Other}\nentities:\n  Card: {title: text(1..200)}\n")
    worker = uuid7()
    await journal.enlist(worker, "w", 1)
    assert len((await journal.step(worker, 1, want=1, scan=True)).started) == 1
    found = (await client.get(SHARES)).json()
    assert found["holds"] == {**NOTHING, "running": 1, "ready": 1, "builds": 2}
    assert [(each["project"], each["given"], each["holds"]["running"]) for each in found["projects"]] == [
        ("taskboard", False, 1),
        ("other", False, 0),
    ]
    assert (await client.get(TASKBOARD)).json() == found["projects"][0]
    metrics = (await client.get("/metrics")).text
    label = f'organisation="{LOCAL_ORGANISATION}",project="taskboard"'
    assert f"factory_share_running{{{label}}} 1.0" in metrics
    assert "factory_share_memory_bytes{" not in metrics, "nothing was counted"
    await journal.shares.count_use(uuid7(), {(LOCAL_ORGANISATION, "taskboard"): (1.5, 1 << 20)})
    used = (await client.get(SHARES)).json()["holds"]
    assert (used["processor_seconds"], used["memory"]) == (1.5, 1 << 20)
    metrics = (await client.get("/metrics")).text
    assert f"factory_share_recent_processor_seconds{{{label}}} 1.5" in metrics
    assert f"factory_share_memory_bytes{{{label}}} 1.048576e+06" in metrics


async def test_a_project_is_given_a_share_bit_by_bit_and_it_is_taken(client: httpx.AsyncClient) -> None:
    async def change(**members: Any) -> dict[str, Any]:
        answer = await client.patch(TASKBOARD, json=members)
        assert answer.status_code == 200, answer.text
        return answer.json()["share"]

    assert await change(weight=3) == {"weight": 3, "max_running": None, "max_memory": None}
    assert await change(max_running=4, max_memory=2 << 30) == {
        "weight": 3,
        "max_running": 4,
        "max_memory": 2 << 30,
    }
    assert await change(max_memory=None) == {"weight": 3, "max_running": 4, "max_memory": None}
    assert await change() == {"weight": 3, "max_running": 4, "max_memory": None}
    assert (await client.get(SHARES)).json()["projects"][0]["given"] is True
    assert (await client.delete(TASKBOARD)).status_code == 204
    again = await client.delete(TASKBOARD)
    assert (again.status_code, again.json()["type"]) == (404, "urn:factory:problem:project-share-missing")
    plain = (await client.get(TASKBOARD)).json()
    assert (plain["given"], plain["share"]["weight"]) == (False, 1)


WRONG: tuple[tuple[str, dict[str, Any], str], ...] = (
    (TASKBOARD, {"weight": 0}, "weight"),
    (TASKBOARD, {"weight": 10_001}, "weight"),
    (TASKBOARD, {"weight": None}, "weight"),
    (TASKBOARD, {"max_running": 0}, "max_running"),
    (TASKBOARD, {"max_running": "many"}, "max_running"),
    (TASKBOARD, {"max_memory": 1024}, "max_memory"),
    (TASKBOARD, {"reserved": True}, "reserved"),
    (f"{SHARES}/projects/No%20Slug", {"weight": 3}, "project"),
    (f"{SHARES}/projects/{'x' * 201}", {"weight": 3}, "project"),
    (OURS, {"weight": -1}, "weight"),
    (OURS, {"reserved": "perhaps"}, "reserved"),
    (OURS, {"max_builds": 0}, "max_builds"),
    (OURS, {"max_queued": 1.5}, "max_queued"),
    (OURS, {"vt": 0}, "vt"),
)


async def test_a_wrong_value_is_refused_by_its_name(client: httpx.AsyncClient) -> None:
    before = (await client.get(SHARES)).json()
    for path, members, field in WRONG:
        answer = await client.patch(path, json=members)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
        assert [error["field"] for error in answer.json()["errors"]] == [field], members
    assert (await client.get(SHARES)).json() == before


async def test_a_project_gets_no_more_than_its_organisation(client: httpx.AsyncClient) -> None:
    await client.get(SHARES)
    answer = await client.patch(OURS, json={"max_running": 8, "max_memory": 1 << 30, "weight": 5})
    assert (answer.status_code, answer.json()["share"]) == (
        200,
        {**EVERYTHING, "max_running": 8, "max_memory": 1 << 30, "weight": 5},
    )
    for name, most in (("max_running", 8), ("max_memory", 1 << 30)):
        refused = await client.patch(TASKBOARD, json={name: most + 1})
        assert (refused.status_code, refused.json()["type"]) == (422, "urn:factory:problem:share-unfit")
        assert refused.json()["errors"] == [
            {"field": name, "message": f"is more than the organisation's {most}"}
        ]
        assert (await client.patch(TASKBOARD, json={name: most})).status_code == 200
    await client.patch(OURS, json={"max_running": None})
    assert (await client.patch(TASKBOARD, json={"max_running": 9})).status_code == 200


async def test_what_others_have_is_neither_seen_nor_changed(
    client: httpx.AsyncClient, journal: Journal
) -> None:
    other = uuid7()
    await journal.found(other, "other")
    await journal.shares.give_project(other, "taskboard", ProjectShare(weight=7))
    assert (await client.get(SHARES)).json()["projects"] == []
    assert (await client.get(TASKBOARD)).json()["share"]["weight"] == 1
    assert (await client.delete(TASKBOARD)).status_code == 404
    assert (await client.patch(TASKBOARD, json={"weight": 2})).status_code == 200
    assert await journal.shares.of_projects(other) == {"taskboard": ProjectShare(weight=7)}
    assert await journal.shares.of_projects(LOCAL_ORGANISATION) == {"taskboard": ProjectShare(weight=2)}
    every = {each["name"]: each for each in (await client.get(f"{SHARES}/organisations")).json()}
    assert {name: each["projects"][0]["share"]["weight"] for name, each in every.items()} == {
        "local": 2,
        "other": 7,
    }
    theirs = await client.patch(f"{SHARES}/organisations/{other}", json={"max_running": 5})
    assert (theirs.json()["name"], theirs.json()["share"]["max_running"]) == ("other", 5)
    assert (await journal.shares.of(LOCAL_ORGANISATION)).max_running is None


async def test_an_organisation_that_is_not_there_is_404(client: httpx.AsyncClient) -> None:
    nobody = f"{SHARES}/organisations/{uuid7()}"
    for answer in (await client.get(nobody), await client.patch(nobody, json={"weight": 2})):
        assert (answer.status_code, answer.json()["type"]) == (
            404,
            "urn:factory:problem:organisation-missing",
        )


async def test_only_json_may_change_shares(client: httpx.AsyncClient) -> None:
    for path in (TASKBOARD, OURS):
        answer = await client.patch(path, content='{"weight": 2}', headers={"content-type": "text/plain"})
        assert answer.status_code == 415


async def test_a_limit_counts_from_the_next_task_of_builds_under_way(
    client: httpx.AsyncClient, order: Any, journal: Journal
) -> None:
    """Over HTTP; how weights divide what runs is shown in ``tests/core/builds/test_share_changes.py``."""
    for _ in range(3):
        await order()
    worker = uuid7()
    await journal.enlist(worker, "w", 9)
    assert len((await journal.step(worker, 1, want=1, scan=True)).started) == 1
    await client.patch(TASKBOARD, json={"max_running": 2})
    assert len((await journal.step(worker, 2, want=9, scan=True)).started) == 1
    assert (await journal.step(worker, 3, want=9, scan=True)).started == ()
    await client.patch(TASKBOARD, json={"max_running": None})
    assert len((await journal.step(worker, 4, want=9, scan=True)).started) == 1


TOKENS = {"FACTORY_API_OPERATOR_TOKEN": "open sesame", "FACTORY_API_METRICS_TOKEN": "for reading"}
HERE, ELSEWHERE = "127.0.0.1", "10.1.2.3"


@pytest.mark.parametrize(
    ("variables", "asked"),
    [
        ({}, ((HERE, {}, 503), (ELSEWHERE, {}, 403), (HERE, {"x-forwarded-for": ELSEWHERE}, 403))),
        (
            TOKENS,
            (
                (ELSEWHERE, {"authorization": "Bearer open sesame"}, 503),
                (ELSEWHERE, {"authorization": "Bearer for reading"}, 403),
                (HERE, {}, 403),
            ),
        ),
    ],
    ids=["no-token", "token"],
)
async def test_what_organisations_get_is_the_operators_to_say(
    variables: dict[str, str], asked: tuple[tuple[str, dict[str, str], int], ...], home: Path
) -> None:
    """503: let in, and there is no database. What an organisation gives its projects is its own to say."""
    found = [point for point in entry_points(group="factory.plugins") if point.name in ("api", "storage")]
    app: Any = create_app(start(read_sources({"FACTORY_HOME": str(home), **variables}), found=found))
    for host, headers, status in asked:
        transport = httpx.ASGITransport(app=app, client=(host, 4000))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://studio", headers=headers
        ) as client:
            answers = [
                await client.get(f"{SHARES}/organisations"),
                await client.get(OURS),
                await client.patch(OURS, json={"weight": 9}),
            ]
            assert [answer.status_code for answer in answers] == [status] * 3, (host, headers)
            assert (await client.patch(TASKBOARD, json={"weight": 9})).status_code == 503
        assert ("FACTORY_API_OPERATOR_TOKEN" in answers[0].json()["detail"]) == (status == 403)
        assert "sesame" not in answers[0].text
