"""``/api/v1/builds`` on a real database, queue and storage."""

from __future__ import annotations

import base64
import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from factory_core.builds.journal import Completion, CompletionKind, Journal, Report
from factory_core.builds.shares import OrganisationShare
from factory_core.kernel.database import LOCAL_ORGANISATION, open_database
from factory_core.settings import KernelSettings

pytestmark = pytest.mark.anyio
BUILDS = "/api/v1/builds"
SPEC = "project: {name: Taskboard}\nentities:\n  Card: {title: text(1..200)}\n"


async def test_a_build_is_created_and_can_be_looked_at(client: Any, order: Any) -> None:
    answer = await client.post(BUILDS, json={"spec": "project: {name: Taskboard}"})
    view = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{BUILDS}/{view['id']}"
    assert (view["name"], view["state"], view["ended"], view["last_event"]) == (
        "Taskboard",
        "queued",
        False,
        1,
    )
    details = (await client.get(answer.headers["location"])).json()
    assert details["build"] == view
    assert details["counts"] == {"ready": 1}
    assert [task["id"] for task in details["tasks"]] == ["plan"]


async def test_the_same_key_never_starts_a_second_build(client: Any, order: Any) -> None:
    first = await order(key="k1")
    again = await client.post(BUILDS, json={"spec": SPEC}, headers={"Idempotency-Key": "k1"})
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    assert again.headers["location"] == f"{BUILDS}/{first['id']}"
    assert (await client.get(BUILDS)).json()["total"] == 1
    other = await client.post(BUILDS, json={"spec": "project: {name: X}"}, headers={"Idempotency-Key": "k1"})
    assert (other.status_code, other.json()["type"]) == (409, "urn:factory:problem:idempotency-conflict")


async def test_a_wrong_specification_is_422_with_line_and_column(client: Any) -> None:
    answer = await client.post(
        BUILDS, json={"spec": "project: {name: T}\nentities:\n  Card: {title: tekst}\n"}
    )
    problem = answer.json()
    assert answer.status_code == 422
    assert problem["type"] == "urn:factory:problem:spec-rejected"
    row = next(row for row in problem["problems"] if row["severity"] == "error")
    assert (row["line"], row["column"] > 1) == (3, True)
    assert "text" in row["suggestion"] + row["message"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_what_a_foreign_page_can_send_unasked_starts_nothing(client: Any, kind: str) -> None:
    body = json.dumps({"spec": SPEC})
    answer = await client.post(BUILDS, content=body, headers={"content-type": kind})
    assert answer.status_code == 415
    assert "application/json" in answer.json()["detail"]
    assert (await client.get(BUILDS)).json()["total"] == 0


@pytest.mark.parametrize("name", ["a\x00b.yaml", "../../x", "what?", "😀" * 200])
async def test_any_name_of_a_specification_is_taken(order: Any, name: str) -> None:
    assert (await order(name=name))["state"] == "queued"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "spec"),
        ({"spec": ""}, "spec"),
        ({"spec": "x", "max_agents": 0}, "max_agents"),
        ({"spec": "x", "onto": "x" * 37}, "onto"),
        ({"spec": "x", "release": "?"}, "release"),
        ({"spec": "x", "y": 1}, "y"),
    ],
)
async def test_a_bad_order_names_the_field(client: Any, body: dict[str, Any], field: str) -> None:
    answer = await client.post(BUILDS, json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_template_that_is_not_installed_is_named(client: Any) -> None:
    answer = await client.post(BUILDS, json={"spec": "project: {name: T}", "template": "cobol"})
    assert answer.status_code in {404, 422}
    assert "cobol" in answer.json()["detail"]


@pytest.mark.parametrize("path", [BUILDS, f"{BUILDS}/estimate"])
async def test_a_release_that_cannot_be_built_onto_starts_nothing(client: Any, order: Any, path: str) -> None:
    running = (await order())["id"]
    archive = base64.b64encode(b"no archive").decode()
    for release in ({"onto": "newest"}, {"onto": running}, {"onto": "any"}, {"release": archive}):
        answer = await client.post(path, json={"spec": SPEC, **release})
        assert answer.status_code == 422
        assert answer.json()["detail"].endswith("or the folder that was unpacked from one.")
    assert (await client.post(path, json={"spec": SPEC, "onto": str(UUID(int=1))})).status_code == 404
    assert (await client.get(BUILDS)).json()["total"] == 1


async def test_pages_by_cursor_and_by_offset_hold_every_build_once(client: Any, order: Any) -> None:
    made = [(await order())["id"] for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await client.get(BUILDS, params=query)).json()
        assert page["total"] == 5
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
    assert seen == made[::-1]
    by_offset = [
        (await client.get(BUILDS, params={"limit": 1, "offset": n, "sort": "created_at"})).json()["items"][0][
            "id"
        ]
        for n in range(5)
    ]
    assert by_offset == made


async def test_builds_are_filtered_by_state(client: Any, order: Any) -> None:
    kept, cancelled = await order(), await order()
    await client.post(f"{BUILDS}/{cancelled['id']}/cancel")
    for states, expected in (
        (["queued"], {kept["id"]}),
        (["cancelled"], {cancelled["id"]}),
        (["queued", "cancelled"], {kept["id"], cancelled["id"]}),
        (["passed"], set()),
    ):
        page = (await client.get(BUILDS, params={"state": states})).json()
        assert {item["id"] for item in page["items"]} == expected
        assert page["total"] == len(expected)


@pytest.mark.parametrize(
    "query", ["state=sleeping", "sort=name", "limit=0", "limit=201", "offset=-1", "cursor=!!", "cursor=YWJj"]
)
async def test_a_bad_query_is_422(client: Any, query: str) -> None:
    answer = await client.get(f"{BUILDS}?{query}")
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_unchanged_build_is_304_and_a_changed_one_is_not(client: Any, order: Any) -> None:
    path = f"{BUILDS}/{(await order())['id']}"
    tag = (await client.get(path)).headers["etag"]
    assert (await client.get(path, headers={"if-none-match": tag})).status_code == 304
    await client.post(f"{path}/cancel")
    assert (await client.get(path, headers={"if-none-match": tag})).status_code == 200


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_cancelling_works_twice_and_not_after_the_end(
    client: Any, order: Any, ended: Any, method: str
) -> None:
    def path(build: str) -> str:
        return f"{build}/cancel" if method == "POST" else build

    running = f"{BUILDS}/{(await order())['id']}"
    for _ in range(2):
        answer = await client.request(method, path(running))
        assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")
    over = await client.request(method, path(await ended()))
    assert (over.status_code, over.json()["state"]) == (409, "passed")


async def test_an_unknown_build_is_404_everywhere(client: Any) -> None:
    for method, tail in (
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/cancel"),
        ("GET", "/events"),
        ("GET", "/artifact"),
        ("GET", "/report"),
    ):
        for name in (uuid4(), "no-uuid"):
            answer = await client.request(method, f"{BUILDS}/{name}{tail}")
            assert answer.status_code == 404, (method, tail, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"


async def test_another_organisations_build_is_404_everywhere(client: Any, order: Any, database: str) -> None:
    build = (await order())["id"]
    theirs = uuid4()
    async with open_database(database, KernelSettings()) as opened:
        await opened.pool.execute("INSERT INTO organisation (id, name) VALUES ($1, 'theirs')", theirs)
        for table, column in (("build", "id"), ("task", "build_id"), ("event", "build_id")):
            await opened.pool.execute(f"UPDATE {table} SET org_id = $1 WHERE {column} = $2", theirs, build)
    for method, tail in (
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/cancel"),
        ("GET", "/attempts"),
        ("GET", "/events"),
        ("GET", "/report"),
    ):
        assert (await client.request(method, f"{BUILDS}/{build}{tail}")).status_code == 404
    assert (await client.get(BUILDS)).json() == {"items": [], "next": None, "total": 0}


async def test_without_a_database_the_answer_is_503(home: Any) -> None:
    from importlib.metadata import entry_points

    from litestar.testing import AsyncTestClient

    from factory_core.kernel.app import create_app
    from factory_core.kernel.boot import start
    from factory_core.settings import read_sources

    found = [point for point in entry_points(group="factory.plugins") if point.name == "api"]
    studio = start(read_sources({"FACTORY_HOME": str(home)}), found=found)
    async with AsyncTestClient(create_app(studio)) as client:
        answer = await client.get(BUILDS)
    assert answer.status_code == 503
    assert "FACTORY_DATABASE_URL" in answer.json()["detail"]


async def test_every_call_is_documented_with_an_example(client: Any) -> None:
    paths = (await client.get("/api/docs/openapi.json")).json()["paths"]
    calls = [call for path, item in paths.items() if path.startswith("/api/v1") for call in item.values()]
    assert len(calls) >= 8
    assert all(call.get("summary") for call in calls)
    body = paths[BUILDS]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"]["examples"][0]["name"] == "taskboard.yaml"
    assert "taskboard.yaml" in (await client.get("/api/docs")).text


async def test_the_front_door_leads_to_the_documentation(client: Any) -> None:
    answer = await client.get("/", follow_redirects=False)
    assert answer.status_code in (302, 307)
    assert answer.headers["location"] == "/api/docs"


async def test_what_may_not_wait_is_429_and_says_when_to_come_back(
    client: Any, order: Any, database: str
) -> None:
    first = await order(key="k1")
    async with open_database(database, KernelSettings()) as opened:
        await Journal(opened.pool).shares.give(LOCAL_ORGANISATION, OrganisationShare(max_builds=1))
    answer = await client.post(BUILDS, json={"spec": SPEC})
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (429, "urn:factory:problem:queue-full")
    assert int(answer.headers["retry-after"]) == problem["retry_after"] >= 1
    again = await client.post(BUILDS, json={"spec": SPEC}, headers={"Idempotency-Key": "k1"})
    assert (again.status_code, again.json()["id"]) == (200, first["id"])


async def test_an_estimate_starts_nothing_and_names_what_changed(client, order):
    spec = {"spec": "project: {name: Estimated}\nentities: {Card: {title: text}}\n"}
    first = (await client.post("/api/v1/builds/estimate", json=spec)).json()
    assert (first["since"], len(first["again"])) == (None, first["tasks"])
    assert first["seconds"] == pytest.approx(first["total_seconds"])
    assert (await client.get("/api/v1/builds")).json()["total"] == 0
    wrong = await client.post("/api/v1/builds/estimate", json={"spec": "entities: 1"})
    assert wrong.status_code == 422


async def test_the_tries_of_a_builds_tasks_are_listed(client: Any, order: Any, database: str) -> None:
    build, worker = (await order())["id"], uuid4()
    assert (await client.get(f"{BUILDS}/{build}/attempts")).json() == []
    async with open_database(database, KernelSettings()) as opened:
        journal = Journal(opened.pool)
        await journal.enlist(worker, "ours", 1)
        (plan,) = (await journal.step(worker, 1, want=1, scan=True)).started
        failed = Completion(kind=CompletionKind.FAILED, reason="no")
        await journal.step(worker, 2, [Report.of(plan, failed)], want=0, scan=False)
    (row,) = (await client.get(f"{BUILDS}/{build}/attempts")).json()
    assert (row["task"], row["fence"], row["worker"], row["outcome"]) == (
        "plan",
        1,
        str(worker),
        "task.failed",
    )
