"""A small generated-looking project, and a way to put it before a gate."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import factory_template_neoforge
from factory_core.builds.pieces import Pieces
from factory_core.builds.tools import Blobs, BuildTools
from factory_core.contracts.agent import Outcome, Work
from factory_core.contracts.blueprint import Blueprint
from factory_core.contracts.files import FileRef
from factory_core.contracts.sandbox import SandboxJob, SandboxResult
from factory_core.contracts.storage import ObjectInfo
from factory_core.contracts.template import TemplatePackage
from factory_core.errors import ObjectMissing
from factory_core.planning import load_template
from factory_core.sandbox import BubblewrapSandbox, Toolchain, prepare
from factory_core.specs import read
from factory_core.testing.agent import BenchBoard
from factory_plugin_agents.gates import agents

SPEC = b"""
project: {name: Shelf}
entities:
  Book: {title: text(1..20)}
endpoints:
  POST /books/{id}/translate: {description: into every language}
requirements:
  - R-1: A book can be put on the shelf.
acceptance:
  - name: a book is found again
    requirement: R-1
    steps: [{get: /books, expect: 200}]
constraints: {min_test_coverage: 85}
"""

MAIN = '''"""The service."""

from fastapi import FastAPI

from app.routes.book import router

app = FastAPI()
app.include_router(router)


@app.get("/health")
def health() -> dict[str, str]:
    """Tell that it answers."""
    return {"status": "ok"}
'''

BOOK = '''"""The endpoints of books."""

from typing import Any

from fastapi import APIRouter, HTTPException

router = APIRouter(prefix="/books")
books: list[dict[str, Any]] = []


@router.post("", status_code=201)
def create_book(body: dict[str, str]) -> dict[str, Any]:
    """Put a book on the shelf."""
    title = body.get("title", "")
    if not 1 <= len(title) <= 20:
        raise HTTPException(422)
    book = {"id": str(len(books)), "title": title}
    books.append(book)
    return book


@router.get("")
def list_books() -> dict[str, Any]:
    """All of them."""
    return {"items": books, "next": None}


@router.get("/{id}")
def show_book(id: str) -> dict[str, Any]:
    """One of them."""
    for book in books:
        if book["id"] == id:
            return book
    raise HTTPException(404)


@router.patch("/{id}")
def change_book(id: str, body: dict[str, str]) -> dict[str, Any]:
    """Change the title."""
    book = show_book(id)
    book["title"] = body.get("title", book["title"])
    return book


@router.delete("/{id}", status_code=204)
def delete_book(id: str) -> None:
    """Take it away."""
    books.remove(show_book(id))


@router.post("/{id}/translate", status_code=501)
def translate_book(id: str) -> dict[str, str]:
    """Not written yet."""
    return {"detail": f"{id} waits"}
'''

CONFTEST = '''"""The service with an empty shelf."""

import pytest
from fastapi.testclient import TestClient

from app.main import app
from app.routes.book import books


@pytest.fixture
def client() -> TestClient:
    """Calls it."""
    books.clear()
    return TestClient(app)
'''

CONTRACT = '''"""The contract of books."""


def test_a_book_is_created_and_shown(client):
    """It has its title."""
    made = client.post("/books", json={"title": "Emma"})
    assert made.status_code == 201
    assert made.json() == {"id": "0", "title": "Emma"}
    assert client.get("/books/0").json() == made.json()
    assert client.get("/books").json() == {"items": [made.json()], "next": None}
    assert client.get("/health").json() == {"status": "ok"}


def test_a_title_has_its_length(client):
    """At both ends."""
    for size, status in ((0, 422), (1, 201), (20, 201), (21, 422)):
        assert client.post("/books", json={"title": "x" * size}).status_code == status
    assert client.post("/books", json={}).status_code == 422


def test_a_book_is_changed_and_removed(client):
    """Only that one."""
    client.post("/books", json={"title": "Emma"})
    client.post("/books", json={"title": "Ada"})
    assert client.patch("/books/1", json={"title": "Eve"}).json() == {"id": "1", "title": "Eve"}
    assert client.patch("/books/1", json={}).json()["title"] == "Eve"
    assert client.get("/books/9").status_code == 404
    removed = client.delete("/books/0")
    assert (removed.status_code, removed.content) == (204, b"")
    assert [book["title"] for book in client.get("/books").json()["items"]] == ["Eve"]


def test_translation_waits(client):
    """It says so."""
    answer = client.post("/books/7/translate")
    assert (answer.status_code, answer.json()) == (501, {"detail": "7 waits"})
'''

ACCEPTANCE = '''"""Acceptance of R-1: a book is found again."""


def test_a_book_is_found_again(client):
    """a book is found again"""
    assert client.get("/books").status_code == 200
'''

ALEMBIC = """[alembic]
script_location = migrations
"""

PROJECT = """[tool.ruff]
line-length = 110

[tool.pytest.ini_options]
addopts = "--import-mode=importlib"
pythonpath = ["."]
testpaths = ["tests"]

[tool.coverage.run]
source = ["app"]
"""


@pytest.fixture
def project() -> dict[str, str]:
    """The files of a project that passes every gate."""
    return {
        "pyproject.toml": PROJECT,
        "alembic.ini": ALEMBIC,
        "migrations/env.py": "",
        "app/__init__.py": "",
        "app/main.py": MAIN,
        "app/routes/__init__.py": "",
        "app/routes/book.py": BOOK,
        "tests/conftest.py": CONFTEST,
        "tests/contract/test_book.py": CONTRACT,
        "tests/acceptance/test_a_book_is_found_again.py": ACCEPTANCE,
    }


@pytest.fixture(scope="session")
def template() -> TemplatePackage:
    return load_template(Path(factory_template_neoforge.__file__).parent)


@pytest.fixture(scope="session")
def toolchain(template: TemplatePackage, tmp_path_factory: pytest.TempPathFactory) -> Toolchain:
    home = tmp_path_factory.getbasetemp().parent / "factory-toolchains"
    return asyncio.run(prepare(template.root / template.manifest.toolchain.lock, home))


@pytest.fixture
def blueprint() -> Blueprint:
    found = read(SPEC, name="spec.yaml").blueprint
    assert found
    return found


class Shelf:
    """A storage in memory."""

    name = "shelf"

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    async def put(self, key: str, data: bytes | AsyncIterator[bytes]) -> int:
        assert isinstance(data, bytes)
        self.objects[key] = data
        return len(data)

    async def get(self, key: str) -> bytes:
        if key not in self.objects:
            raise ObjectMissing(key)
        return self.objects[key]

    async def head(self, key: str) -> ObjectInfo | None:
        found = self.objects.get(key)
        return None if found is None else ObjectInfo(key=key, size=len(found), modified=datetime.now(UTC))


class Counting(BubblewrapSandbox):
    """A sandbox that counts what it ran."""

    def __init__(self) -> None:
        super().__init__()
        self.ran = 0

    async def run(self, job: SandboxJob) -> SandboxResult:
        self.ran += 1
        return await super().run(job)


@pytest.fixture
def sandbox() -> Counting:
    return Counting()


@pytest.fixture
def check(template, toolchain, blueprint, tmp_path, sandbox) -> Callable[..., Outcome]:
    """Run one gate, or the auditor, over files."""

    async def log(message: str, level: str) -> None:
        pass

    async def go(
        gate: str, files: dict[str, str], spec: Blueprint, pieces: Pieces | None, told_by: str, **data: Any
    ) -> Outcome:
        blobs = Blobs(Shelf())
        tools = BuildTools(
            blobs=blobs,
            sandbox=sandbox,
            toolchain=toolchain,
            home=tmp_path,
            log=log,
            board=BenchBoard(),
            pieces=pieces,
        )
        inputs = [
            FileRef(
                path=path, digest=await blobs.put(text.encode()), size=len(text.encode()), producer="build"
            )
            for path, text in files.items()
        ]
        assert all(ref.digest == hashlib.sha256(files[ref.path].encode()).hexdigest() for ref in inputs)
        work = Work(
            task="gate",
            params={"work": "gate", "gate": gate},
            blueprint=spec,
            template=template,
            inputs=tuple(inputs),
            upstream={told_by: data} if data else {},
        )
        validator, auditor = agents()
        return await (auditor if gate == "audit" else validator).run(work, tools)

    def run(
        gate: str,
        files: dict[str, str],
        spec: Blueprint = blueprint,
        pieces: Pieces | None = None,
        told_by: str = "before",
        **data: Any,
    ) -> Outcome:
        return asyncio.run(go(gate, files, spec, pieces, told_by, **data))

    return run


class Known(Pieces):
    """A memory that counts what it knew."""

    def __init__(self) -> None:
        super().__init__()
        self.knew = 0

    async def recall(self, keys):
        found = await super().recall(keys)
        self.knew += len(found)
        return found


@pytest.fixture
def pieces() -> Known:
    return Known()
