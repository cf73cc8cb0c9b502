"""``/api/v1/queue``: figures, dead letters, and what may be done with them."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import pytest

from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Journal
from factory_core.kernel.database import LOCAL_ORGANISATION

pytestmark = pytest.mark.anyio


async def bury(studio: Any, org: Any = LOCAL_ORGANISATION) -> str:
    identity = uuid7()
    connection: Any = await asyncpg.connect(studio.database_url())
    await connection.execute(
        "insert into dead_job values ($1, $2, 'notifications', 'mail', '{}', 5, 'away', now(), now())",
        identity,
        org,
    )
    await connection.close()
    return str(identity)


async def test_the_figures_follow_the_builds(client: httpx.AsyncClient, order: Any, ended: Any) -> None:
    answer = (await client.get("/api/v1/queue")).json()
    assert [(q["name"], q["depth"], q["done"]) for q in answer["queues"]] == [("builds", 0, 0)]
    await order()
    assert (await client.get("/api/v1/queue")).json()["queues"][0]["depth"] == 1
    await ended()
    answer = (await client.get("/api/v1/queue")).json()
    assert (answer["queues"][0]["depth"], answer["workers"]) == (0, [])
    assert answer["queues"][0]["done"] >= 2


async def test_a_dead_letter_is_listed_retried_and_discarded(client: httpx.AsyncClient, studio: Any) -> None:
    first, second = await bury(studio), await bury(studio)
    listed = (await client.get("/api/v1/queue/dead")).json()["items"]
    assert {letter["id"] for letter in listed} == {first, second}
    for identity, verb in ((first, "retry"), (second, "discard")):
        path = f"/api/v1/queue/dead/{verb}"
        answer = await client.post(path, json={"id": identity})
        assert (answer.status_code, answer.json()["id"]) == (200, identity)
        assert (await client.post(path, json={"id": identity})).status_code == 404
    assert (await client.get("/api/v1/queue/dead")).json() == {"items": [], "next": None, "total": 0}
    jobs = (await client.get("/api/v1/queue")).json()["queues"][1]
    assert (jobs["name"], jobs["depth"], jobs["dead"]) == ("notifications", 1, 0)


async def test_names_of_workers_are_the_operators(client: httpx.AsyncClient, studio: Any, order: Any) -> None:
    """They are made of the names of hosts; others see ids."""
    await order()
    connection: Any = await asyncpg.connect(studio.database_url())
    journal = Journal(connection)
    workers = [uuid7() for _ in range(4)]
    for worker in workers:
        await journal.enlist(worker, "db-7.internal:4711", 5)
        if worker != workers[-1]:
            assert (await journal.step(worker, 1, want=1, scan=True)).started
            await connection.execute("update worker set beat_at = '2020-01-01' where id = $1", worker)
            assert await journal.reap(20.0)
    await connection.close()
    for headers, names in (({}, "db-7.internal:4711"), ({"x-forwarded-for": "10.1.2.3"}, "")):
        (worker,) = (await client.get("/api/v1/queue", headers=headers)).json()["workers"]
        assert (worker["name"], worker["slots"]) == (names or str(workers[-1]), 5)
        (letter,) = (await client.get("/api/v1/queue/dead", headers=headers)).json()["items"]
        held = [lost["worker"] for lost in letter["tries"]]
        assert held == [names or str(worker) for worker in workers[2::-1]]


async def test_letters_are_listed_page_by_page(client: httpx.AsyncClient, studio: Any) -> None:
    buried = [await bury(studio) for _ in range(3)]
    first = (await client.get("/api/v1/queue/dead", params={"limit": 2})).json()
    assert ([letter["id"] for letter in first["items"]], first["total"]) == (buried[:0:-1], 3)
    query = {"limit": 2, "cursor": first["next"]}
    second = (await client.get("/api/v1/queue/dead", params=query)).json()
    assert ([letter["id"] for letter in second["items"]], second["next"]) == (buried[:1], None)
    unknown = await client.get("/api/v1/queue/dead", params={"cursor": "x"})
    assert (unknown.status_code, unknown.json()["type"]) == (422, "urn:factory:problem:cursor-unknown")


async def test_letters_of_others_do_not_exist(client: httpx.AsyncClient, studio: Any) -> None:
    theirs = await bury(studio, uuid7())
    assert (await client.get("/api/v1/queue/dead")).json() == {"items": [], "next": None, "total": 0}
    for verb in ("retry", "discard"):
        answer = await client.post(f"/api/v1/queue/dead/{verb}", json={"id": theirs})
        assert answer.status_code == 404
        assert answer.json()["type"] == "urn:factory:problem:letter-missing"


@pytest.mark.parametrize("body", [{}, {"id": ""}, {"id": 3}, {"id": "x" * 301}, {"id": "x", "more": 1}])
async def test_a_malformed_letter_is_refused(body: Any, client: httpx.AsyncClient) -> None:
    assert (await client.post("/api/v1/queue/dead/discard", json=body)).status_code == 422


async def test_only_json_may_act(client: httpx.AsyncClient) -> None:
    form = {"content-type": "text/plain"}
    answer = await client.post("/api/v1/queue/dead/discard", content='{"id": "x"}', headers=form)
    assert answer.status_code == 415
