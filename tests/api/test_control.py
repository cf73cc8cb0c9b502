"""What people decide about builds, over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from factory_core.kernel.database import LOCAL_ORGANISATION, open_database
from factory_core.settings import KernelSettings

pytestmark = pytest.mark.anyio
BUILDS = "/api/v1/builds"
SPEC = "project: {name: Taskboard}\nentities:\n  Card: {title: text(1..200)}\n"
MOVES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("pause", {}),
    ("resume", {}),
    ("decision", {"decision": "approve"}),
    ("retry", {}),
    ("fork", {}),
)


async def kinds(client: Any, path: str) -> list[str]:
    return [event["kind"] for event in (await client.get(f"{path}/events")).json()["events"]]


async def test_a_build_is_paused_and_resumed_any_number_of_times(client: Any, order: Any) -> None:
    path = f"{BUILDS}/{(await order())['id']}"
    for _ in range(2):
        answer = await client.post(f"{path}/pause", json={"reason": "lunch"})
        assert (answer.status_code, answer.json()["state"], answer.json()["reason"]) == (
            202,
            "paused",
            "lunch",
        )
    for _ in range(2):
        answer = await client.post(f"{path}/resume")
        assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert await kinds(client, path) == ["build.created", "build.paused", "build.resumed"]


async def test_a_paused_build_runs_on_when_it_is_resumed(client: Any, order: Any, working: Any) -> None:
    path = f"{BUILDS}/{(await order())['id']}"
    await client.post(f"{path}/pause", json={})
    async with working():
        await client.post(f"{path}/resume")
        async with client.stream("GET", f"{path}/events", headers={"accept": "text/event-stream"}) as stream:
            async for _ in stream.aiter_lines():
                pass
    assert (await client.get(path)).json()["build"]["state"] == "passed"


@pytest.mark.parametrize(("move", "body"), MOVES[:4])
async def test_what_has_passed_is_not_changed(
    client: Any, ended: Any, move: str, body: dict[str, Any]
) -> None:
    path = await ended()
    answer = await client.post(f"{path}/{move}", json=body)
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (409, "urn:factory:problem:build-unready")
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["state"] == "passed"
    assert "fork it" in problem["detail"]


async def test_a_failed_build_is_retried(client: Any, ended: Any, working: Any) -> None:
    path = await ended(failing=True)
    answer = await client.post(f"{path}/retry", json={"tasks": ["plan"]})
    assert (answer.status_code, answer.json()["state"], answer.json()["ended"]) == (202, "planning", False)
    again = await client.post(f"{path}/retry", json={"tasks": ["plan"]})
    assert again.status_code == 202
    assert (await kinds(client, path)).count("build.retried") == 1
    async with (
        working(),
        client.stream("GET", f"{path}/events", headers={"accept": "text/event-stream"}) as stream,
    ):
        async for _ in stream.aiter_lines():
            pass
    assert (await client.get(f"{path}/artifact")).status_code == 200


async def test_a_task_that_does_not_exist_is_404(client: Any, ended: Any) -> None:
    path = await ended(failing=True)
    for move, body in (("retry", {"tasks": ["nowhere"]}), ("fork", {"task": "nowhere"})):
        answer = await client.post(f"{path}/{move}", json=body)
        assert (answer.status_code, answer.json()["task"]) == (404, "nowhere")
        assert "studio builds show" in answer.json()["detail"]


async def test_a_fork_takes_over_what_does_not_follow_and_one_key_makes_one(client: Any, ended: Any) -> None:
    path = await ended()
    first = await client.post(f"{path}/fork", json={"task": "deliver"}, headers={"Idempotency-Key": "k"})
    again = await client.post(f"{path}/fork", json={"task": "deliver"}, headers={"Idempotency-Key": "k"})
    other = await client.post(f"{path}/fork", json={"task": "plan"}, headers={"Idempotency-Key": "k"})
    assert [answer.status_code for answer in (first, again, other)] == [201, 200, 409]
    assert first.headers["location"] == f"{BUILDS}/{first.json()['id']}"
    assert again.json()["id"] == first.json()["id"] != path.rsplit("/", 1)[1]
    details = (await client.get(first.headers["location"])).json()
    assert {task["id"]: task["state"] for task in details["tasks"]} == {"plan": "done", "deliver": "ready"}
    assert (first.json()["name"], details["counts"]) == ("Taskboard", {"done": 1, "ready": 1})


async def test_a_fork_by_another_specification_is_planned_anew(client: Any, ended: Any) -> None:
    path = await ended()
    spec = SPEC.replace("Taskboard", "Other")
    answer = await client.post(f"{path}/fork", json={"spec": spec})
    assert (answer.status_code, answer.json()["name"], answer.json()["state"]) == (201, "Other", "queued")
    both = await client.post(f"{path}/fork", json={"spec": spec, "task": "deliver"})
    assert both.status_code == 422
    wrong = await client.post(f"{path}/fork", json={"spec": "project: [}"})
    assert wrong.json()["type"] == "urn:factory:problem:spec-rejected"


@pytest.mark.parametrize("name", ["spec", "spec_name", "template", "release", "max_agents"])
@pytest.mark.parametrize("task", ["plan", None])
async def test_what_the_studio_checked_is_not_changed_by_a_fork(
    client: Any, ended: Any, task: str | None, name: str
) -> None:
    """Such as the digest of a specification that another organisation stored."""
    order = {"params": {name: "a" * 64}} | ({"task": task} if task else {})
    answer = await client.post(f"{await ended()}/fork", json=order)
    assert answer.status_code == 422, answer.text
    assert answer.json()["type"] == "urn:factory:problem:fork-unfit"


async def test_a_build_under_way_is_not_forked(client: Any, order: Any) -> None:
    answer = await client.post(f"{BUILDS}/{(await order())['id']}/fork", json={})
    assert (answer.status_code, answer.json()["state"]) == (409, "queued")


@pytest.mark.parametrize(("decision", "state"), [("approve", "queued"), ("reject", "cancelled")])
async def test_a_halted_build_waits_for_a_decision(
    client: Any, order: Any, database: str, decision: str, state: str
) -> None:
    build = (await order())["id"]
    async with open_database(database, KernelSettings()) as opened:
        halted = "select journal.halt($1, 'plan', 'a secret is printed', factory_now())"
        assert await opened.pool.fetchval(halted, UUID(build))
    path = f"{BUILDS}/{build}"
    assert (await client.get(path)).json()["build"]["reason"] == "a secret is printed"
    resumed = await client.post(f"{path}/resume")
    assert (resumed.status_code, resumed.json()["state"]) == (409, "halted")
    for _ in range(2):
        answer = await client.post(f"{path}/decision", json={"decision": decision, "note": "seen"})
        assert (answer.status_code, answer.json()["state"]) == (202, state)
    assert (await kinds(client, path)).count("build.decided") == 1


@pytest.mark.parametrize(
    ("move", "body"),
    [
        ("decision", {}),
        ("decision", {"decision": "perhaps"}),
        ("retry", {"tasks": [""]}),
        ("retry", {"task": "plan"}),
        ("fork", {"params": {"a": 1}}),
        ("pause", {"reason": "x" * 2001}),
    ],
)
async def test_a_bad_body_is_422(client: Any, order: Any, move: str, body: dict[str, Any]) -> None:
    answer = await client.post(f"{BUILDS}/{(await order())['id']}/{move}", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("move", ["pause", "decision", "retry", "fork"])
async def test_what_a_foreign_page_can_send_unasked_changes_nothing(
    client: Any, order: Any, move: str
) -> None:
    path = f"{BUILDS}/{(await order())['id']}/{move}"
    answer = await client.post(path, content="{}", headers={"content-type": "text/plain"})
    assert answer.status_code == 415


@pytest.mark.parametrize(("move", "body"), MOVES)
async def test_an_unknown_or_foreign_build_is_404(
    client: Any, ended: Any, database: str, move: str, body: dict[str, Any]
) -> None:
    path = await ended()
    theirs = uuid4()
    async with open_database(database, KernelSettings()) as opened:
        await opened.pool.execute("insert into organisation (id, name) values ($1, 'theirs')", theirs)
        for table, column in (("build", "id"), ("task", "build_id"), ("event", "build_id")):
            query = f"update {table} set org_id = $1 where {column} = $2"
            await opened.pool.execute(query, theirs, UUID(path.rsplit("/", 1)[1]))
        before = await opened.pool.fetchval("select count(*) from build")
        for name in (path, f"{BUILDS}/{uuid4()}"):
            answer = await client.post(f"{name}/{move}", json=body)
            assert (answer.status_code, answer.json()["type"]) == (404, "urn:factory:problem:build-missing")
        assert await opened.pool.fetchval("select count(*) from build") == before
        ours = await opened.pool.fetchval("select count(*) from build where org_id = $1", LOCAL_ORGANISATION)
        assert ours == 0


async def test_every_decision_is_documented_with_an_example(client: Any) -> None:
    paths = (await client.get("/api/docs/openapi.json")).json()["paths"]
    for move in ("pause", "decision", "retry", "fork"):
        call = paths[f"{BUILDS}/{{build}}/{move}"]["post"]
        assert call["requestBody"]["content"]["application/json"]["schema"]["examples"], move


async def test_two_builds_are_compared(client: Any, ended: Any) -> None:
    one, other = await ended(), await ended(failing=True)
    found = (await client.get(f"{one}/compare/{other.rsplit('/', 1)[1]}")).json()
    assert (found["left"]["state"], found["right"]["state"]) == ("passed", "failed")
    assert (found["left"]["reported"], found["right"]["reported"]) == (True, False)
    assert {task["id"]: task["right"] for task in found["tasks"]} == {"plan": "failed", "deliver": None}
    assert (await client.get(f"{one}/compare/{uuid4()}")).status_code == 404
