"""The tutorial "your first plugin" does what it says."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from importlib.metadata import EntryPoint, distributions, entry_points
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from litestar.testing import TestClient

from factory_core.builds.line import connect_to
from factory_core.kernel.app import create_app
from factory_core.kernel.boot import Studio, start
from factory_core.kernel.database import open_database
from factory_core.kernel.jobs import JobLoop
from factory_core.kernel.migrate import migrate
from factory_core.settings import read_sources

PAGE = Path(__file__).parents[2] / "docs/tutorial/your-first-plugin.md"
BLOCK = re.compile(r"```(\w+) (?:file=)?([\w.]+)\n(.*?)```", re.DOTALL)
LONGEST_PLUGIN = 20


@pytest.fixture(scope="module")
def blocks() -> dict[str, str]:
    """The marked blocks of the page, by file or purpose."""
    return {name: text for _, name, text in BLOCK.findall(PAGE.read_text())}


class Installed:
    """The tutorial's files, installed with pip into a folder."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.home = home

    def install(self, files: dict[str, str]) -> None:
        project, site = self.folder / "project", self.folder / "site"
        project.mkdir(parents=True)
        for name, text in files.items():
            (project / name).write_text(text)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, project]
        subprocess.run(command, check=True, capture_output=True)

    def boot(self) -> Studio:
        site = str(self.folder / "site")
        found = [point for dist in distributions(path=[site]) for point in dist.entry_points]
        return start(read_sources({"FACTORY_HOME": str(self.home)}), found=found)

    def studio(self, *words: str) -> str:
        """What ``studio`` says with the plugin on its path."""
        code = "import sys; from factory_core.kernel.cli import main; main(sys.argv[1:])"
        environment = {**os.environ, "PYTHONPATH": str(self.folder / "site"), "FACTORY_HOME": str(self.home)}
        done = subprocess.run(
            [sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True, check=False
        )
        return done.stdout


@pytest.fixture
def installed(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(tmp_path / "site")
    yield Installed(tmp_path, home)
    sys.modules.pop("greeter", None)


def files(blocks: dict[str, str]) -> dict[str, str]:
    return {name: blocks[name] for name in ("pyproject.toml", "greeter.py")}


def test_the_plugin_of_the_tutorial_is_short(blocks: dict[str, str]) -> None:
    lines = [line for line in blocks["greeter.py"].splitlines() if line.strip()]
    assert len(lines) <= LONGEST_PLUGIN


def test_it_installs_and_does_what_the_page_says(blocks: dict[str, str], installed: Installed) -> None:
    installed.install(files(blocks))
    studio = installed.boot()
    with TestClient(create_app(studio)) as client:
        assert client.get("/api/v1/greeting?name=Ada").json() == {"text": "Hello, Ada."}
        assert "/api/v1/greeting" in client.get("/api/docs").text
    import greeter  # type: ignore[import-not-found]  # installed by this test

    command: click.Command = greeter.greet
    assert CliRunner().invoke(command).output == "Hello.\n"
    assert installed.studio("greet") == "Hello.\n"
    assert blocks["output"] in installed.studio("plugins", "check", "greeter")


def test_broken_as_the_page_says_it_is_off_with_that_cause(
    blocks: dict[str, str], installed: Installed
) -> None:
    wrong = {name: text.replace("factory_routes", "factory_rutes") for name, text in files(blocks).items()}
    installed.install(wrong)
    (report,) = installed.boot().reports()
    assert not report.on
    assert f"    cause: {report.cause}\n" == blocks["broken"]


def test_the_job_of_the_tutorial_runs(
    blocks: dict[str, str],
    tmp_path: Path,
    home: Path,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "later.py").write_text(blocks["later.py"])
    monkeypatch.syspath_prepend(tmp_path)
    found = [
        EntryPoint("later", "later", "factory.plugins"),
        *(point for point in entry_points(group="factory.plugins") if point.name == "migrations"),
    ]
    sources = read_sources({"FACTORY_HOME": str(home), "FACTORY_DATABASE_URL": database})
    studio = start(sources, found=found)
    asyncio.run(migrate(studio))
    with TestClient(create_app(studio)) as client:
        for _ in range(2):
            assert client.post("/api/v1/welcomes?name=Ada").status_code == 201

    async def work() -> None:
        loop = JobLoop(connect_to(database), studio.jobs())
        task = asyncio.create_task(loop.run())
        async with open_database(database, studio.settings) as opened, asyncio.timeout(30):
            unfinished = "select exists (select from job where state <> 'done')"
            while await opened.pool.fetchval(unfinished):  # noqa: ASYNC110 - the loop brings it about
                await asyncio.sleep(0.01)
        loop.stop()
        await task

    asyncio.run(work())
    assert capsys.readouterr().out == "Welcome, Ada.\n"
    sys.modules.pop("later", None)
