"""A really generated Taskboard, served by its own code, and the system's browser to use it with."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

import factory_template_neoforge
from factory_core.sandbox.toolchain import prepare
from factory_core.specs import read
from factory_core.testing.databases import run_apart
from factory_plugin_agents.direct import load_template, render_project

TEMPLATE = Path(factory_template_neoforge.__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ANSWERED = re.compile(r"the server responded with a status of 4\d\d|net::ERR_INTERNET_DISCONNECTED")
"""What Chromium reports as an error of its own although the page asked for it and deals with it."""

TASKBOARD = """
factory: 1
project: {name: Taskboard, description: Boards with cards.}
entities:
  Board: {title: text(1..80) unique, archived: bool = false}
  Card:
    board: Board
    title: text(1..200)
    status: enum(todo, doing, done) = todo
    due: date?
    estimate: decimal(10,2)?
    notes: text(0..2000)?
    labels: many Label
    _unique: [[board, title]]
  Label: {name: text unique}
states:
  Card.status: {todo: [doing], doing: [todo, done], done: []}
rules:
  - {entity: Card, check: "estimate >= 0", message: An estimate cannot be negative.}
endpoints:
  POST /cards/{id}/finish: {sets: {Card.status: done}FINISHERS}
views:
  Board view: {lists: Card, group_by: status}
  By board: {lists: Card, group_by: board, columns: [title, status]}
"""
ROLES = "roles: {admin: all, member: [read, write Card], viewer: [read]}\n"


class Service:
    """A running service: its address, and calls around the front end."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.app = f"{url}/app/"
        self.token = ""

    def call(self, method: str, path: str, body: object = None) -> Any:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def sign_in(self, role: str) -> None:
        body = {"email": f"{role}@example.com", "password": f"demo-{role}"}
        self.token = self.call("POST", "/auth/token", body)["access_token"]

    def board(self, title: str = "Home") -> dict[str, Any]:
        return self.call("POST", "/boards", {"title": title})

    def card(self, board: dict[str, Any], title: str, *path: str, **values: object) -> dict[str, Any]:
        """A card that went through the states of ``path``."""
        card = self.call("POST", "/cards", {"board": board["id"], "title": title, **values})
        for status in path:
            self.call("PATCH", f"/cards/{card['id']}", {"status": status})
        return card

    def status(self, card: dict[str, Any]) -> str:
        return self.call("GET", f"/cards/{card['id']}")["status"]


@pytest.fixture(scope="session")
def toolchain_python(pytestconfig: pytest.Config) -> Path:
    """An interpreter with the packages of generated projects, fetched once and kept between runs."""
    home = pytestconfig.cache.mkdir("factory-home")
    lock = TEMPLATE / load_template(TEMPLATE).manifest.toolchain.lock
    return run_apart(lambda: prepare(lock, home)).path / "bin" / "python"


@pytest.fixture(scope="session")
def make_project(toolchain_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Writes the project of a spec into a folder, with a database that is migrated and empty."""

    def make(spec: str) -> Path:
        reading = read(spec.encode())
        assert reading.blueprint is not None, reading.problems
        folder = tmp_path_factory.mktemp("project")
        files = render_project(reading.blueprint, load_template(TEMPLATE), python=toolchain_python)
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        command = [str(toolchain_python), "-m", "alembic", "upgrade", "head"]
        subprocess.run(
            command, cwd=folder, env=variables(folder / "empty.db"), check=True, capture_output=True
        )
        return folder

    return make


@pytest.fixture(scope="session")
def open_project(make_project: Callable[[str], Path]) -> Path:
    """The Taskboard that anybody may use."""
    return make_project(TASKBOARD.replace("FINISHERS", ""))


@pytest.fixture(scope="session")
def closed_project(make_project: Callable[[str], Path]) -> Path:
    """The Taskboard with roles."""
    return make_project(TASKBOARD.replace("FINISHERS", ", roles: [member, admin]") + ROLES)


@pytest.fixture
def taskboard(open_project: Path, toolchain_python: Path, tmp_path: Path) -> Iterator[Service]:
    """The Taskboard that anybody may use, running on an empty database."""
    yield from serve(open_project, toolchain_python, tmp_path)


@pytest.fixture
def closed_taskboard(closed_project: Path, toolchain_python: Path, tmp_path: Path) -> Iterator[Service]:
    """The Taskboard with roles and the demo accounts, running on an empty database."""
    yield from serve(closed_project, toolchain_python, tmp_path)


def variables(database: Path) -> dict[str, str]:
    """The environment of a generated service."""
    known = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return known | {"DATABASE_URL": f"sqlite:///{database}", "SECRET_KEY": "k" * 40, "SEED_DEMO": "1"}


def serve(project: Path, python: Path, folder: Path) -> Iterator[Service]:
    """The socket listens before the service starts, so the first call waits in the queue and nothing is polled."""
    database = shutil.copy(project / "empty.db", folder / "service.db")
    with socket.create_server(("127.0.0.1", 0)) as listener, (folder / "service.log").open("wb") as log:
        command = [str(python), "-m", "uvicorn", "app.main:app", "--fd", str(listener.fileno())]
        process = subprocess.Popen(
            command,
            cwd=project,
            env=variables(Path(database)),
            pass_fds=[listener.fileno()],
            stdout=log,
            stderr=log,
        )
        service = Service(f"http://127.0.0.1:{listener.getsockname()[1]}")
        try:
            assert service.call("GET", "/health") == {"status": "ok"}
            yield service
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="session")
def browser_path() -> str:
    """The system's Chromium. Without one these tests fail: a skipped test would look like a passed one."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.fail(
            "No browser. Get one with: apt-get install -y --no-install-recommends chromium", pytrace=False
        )
    return found


@pytest.fixture(scope="module")
def browser(browser_path: str) -> Iterator[Browser]:
    """One browser for a file of tests. Its event loop would be in the way of other files' tests."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=browser_path, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def make_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages with options of a browser context; every error a page reports fails the test."""
    errors: list[str] = []
    contexts: list[BrowserContext] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type == "error" and not ANSWERED.search(message.text):
            errors.append(message.text)

    def make(**options: Any) -> Page:
        chosen = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", "locale": "en-GB"}
        context = browser.new_context(**chosen | options)
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", hear)
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    yield make
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def page(make_page: Callable[..., Page]) -> Page:
    """A page on a desktop."""
    return make_page()
