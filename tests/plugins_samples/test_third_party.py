"""Third parties' plugins, installed with plain pip beside the platform's wheels in a clean environment."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx
import pytest

# One environment is made for all of them, so they stay in one process.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clean environment")]

CAUSES = {
    "import_error": "a_module_that_nobody_has",
    "misspelt_hook": "there is no hook factory_rotues; did you mean factory_routes?",
    "wrong_type": "it returned 'poet', which has no text 'name', which Agent asks for",
    "clashing_route": "GET /api/v1/builds is already there; plugin api brought it",
    "failing_migration": "no_such_table",
}


def free_port() -> int:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def serving(environment: Any, where: dict[str, str]) -> Iterator[httpx.Client]:
    """``studio serve`` until it is ready, and its end."""
    port = free_port()
    server = subprocess.Popen(
        [environment.studio, "serve", "--no-worker", "--port", str(port)],
        env=environment.variables(**where),
        cwd=environment.folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            deadline = time.monotonic() + 60
            while server.poll() is None and time.monotonic() < deadline:
                try:
                    if client.get("/health/live").status_code == 200:
                        break
                except httpx.TransportError:
                    time.sleep(0.05)
            else:
                pytest.fail(f"the server did not start: {server.communicate(timeout=5)}")
            yield client
    finally:
        server.terminate()
        assert server.wait(20) == 0, "it stops cleanly on SIGTERM"


def test_one_plugin_adds_one_of_everything_and_five_broken_ones_do_not_matter(
    environment: Any, where: dict[str, str]
) -> None:
    with serving(environment, where) as client:
        for text in ("first", "second"):
            assert client.post("/api/v1/notes", json={"text": text}).status_code == 201
        assert client.get("/api/v1/notes").json() == ["first", "second"]
        assert client.post("/api/v1/notes", json={"texxt": 1}).status_code == 422
        assert "/api/v1/notes" in client.get("/api/docs").text
        checks = {check["name"]: check for check in client.get("/health/ready").json()["checks"]}
        assert (checks["notes"]["ok"], checks["notes"]["detail"]) == (True, "2 notes")
        assert client.get("/api/v1/builds").json()["items"] == []
        assert client.get("/api/v1/half").status_code == 404, "a plugin whose table is missing is off"
    rows = environment.plugins(**where)
    assert {name for name, row in rows.items() if row["on"]} == {"api", "good", "migrations", "storage"}
    for name, cause in CAUSES.items():
        assert cause in rows[name]["cause"], rows[name]
    assert rows["good"]["added"] == {
        "settings": ["FACTORY_GOOD_KEEP"],
        "tables": ["good_note"],
        "routes": ["POST /api/v1/notes", "GET /api/v1/notes"],
        "jobs": ["good_tidy"],
        "commands": ["notes"],
        "agents": ["good_poet"],
        "health": ["notes"],
    }


def test_its_command_is_one_of_studios(environment: Any, where: dict[str, str]) -> None:
    assert "Say what notes are for." in environment.run("--help", **where).stdout
    assert environment.run("notes", "--loud", **where).stdout == "NOTES ARE FOR REMEMBERING.\n"


def test_its_migration_goes_forward_and_backward(environment: Any, where: dict[str, str]) -> None:
    up = environment.run("migrate", "up", "good_notes", **where)
    assert (up.returncode, "applied" in up.stdout) == (0, True), up.stderr
    down = environment.run("migrate", "down", "good_notes", "zero", "--json", **where)
    assert [state["applied"] for state in json.loads(down.stdout)] == [False]
    everything = environment.run("migrate", "up", **where)
    assert everything.returncode == 4, "a failed migration is told by the exit code"
    assert "no_such_table" in everything.stdout


JOB_AND_AGENT = """
import asyncio, json, sys
from factory_core.contracts.blueprint import Blueprint, Project
from factory_core.contracts.agent import Work
from factory_core.kernel.boot import start
from factory_core.kernel.database import open_database
from factory_core.kernel.worker import WorkerOrder, run_worker
from factory_core.kernel.migrate import migrate
from factory_plugin_good.tables import Note

class Nobody:
    async def run(self, assignment): raise AssertionError("no build was started")

class Quiet:
    async def log(self, message, *, level="info"): ...

async def main():
    studio = start()
    await migrate(studio)
    async with open_database(studio.database_url(), studio.settings):
        for text in "abc":
            await Note.insert(Note(text=text))
        stop = asyncio.Event()
        await studio.queue.enqueue("good_tidy")
        order = WorkerOrder(database_url=studio.database_url(), queue_url=studio.queue_url())
        worker = asyncio.create_task(run_worker(order, Nobody(), studio.jobs(), stop=stop))
        async with asyncio.timeout(30):
            while await Note.count() > 2:
                await asyncio.sleep(0.05)
        stop.set()
        await worker
        kept = [row["text"] for row in await Note.select(Note.text).order_by(Note.id)]
    import inspect, msgspec
    blueprint = msgspec.convert(
        {"project": {"name": "Taskboard", "slug": "taskboard"}}, Blueprint
    )
    work = Work(task="poem", params={}, blueprint=blueprint, template=None, inputs=())
    outcome = await studio.agents()["good_poet"].run(work, Quiet())
    print(json.dumps({"kept": kept, "poem": outcome.files[0].content.decode()}))

asyncio.run(main())
"""


def test_its_job_runs_in_a_worker_with_its_settings_and_its_agent_works(
    environment: Any, where: dict[str, str]
) -> None:
    done = subprocess.run(
        [environment.python, "-c", JOB_AND_AGENT],
        env=environment.variables(**where, FACTORY_GOOD_KEEP="2"),
        capture_output=True,
        text=True,
        check=False,
        cwd=environment.folder,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == {"kept": ["b", "c"], "poem": "Taskboard, oh Taskboard!\n"}


def test_a_plugin_that_studio_wrote_installs_and_passes_its_own_test(
    environment: Any, where: dict[str, str], tmp_path: Any
) -> None:
    wrote = environment.run("plugins", "new", "time-tracking", "--into", str(tmp_path), **where)
    assert wrote.returncode == 0, wrote.stderr
    environment.install(tmp_path / "factory-plugin-time-tracking", "pytest")
    checked = environment.run("plugins", "check", "time-tracking", **where)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert environment.run("time-tracking", **where).stdout == "Hello, world.\n"
    tests = subprocess.run(
        [environment.python, "-m", "pytest", "-q", tmp_path / "factory-plugin-time-tracking"],
        env=environment.variables(**where),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed" in tests.stdout, tests.stdout
    assert environment.run("plugins", "new", "Time", **where).returncode == 64
