"""Whole journeys through the command line: homes, the command, what it left."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from factory_core.kernel import supervisor

ROOT = Path(__file__).parents[2]
BUILD_SECONDS = 600.0


class Built(Struct, frozen=True, kw_only=True):
    """How ``studio build`` ended and where it left things."""

    code: int
    output: str
    errors: str
    out: Path

    @property
    def report(self) -> dict[str, Any]:
        return json.loads((self.out / "BUILD_REPORT.json").read_bytes())

    @property
    def archive(self) -> Path:
        (path,) = self.out.glob("*.zip")
        return path

    def unpack(self, into: Path) -> Path:
        """Unpack as ``unzip`` would, modes included; the project's folder."""
        with zipfile.ZipFile(self.archive) as archive:
            for entry in archive.infolist():
                target = Path(archive.extract(entry, into))
                if not entry.is_dir():
                    target.chmod(entry.external_attr >> 16 & 0o777)
            return into / archive.namelist()[0].split("/")[0]


class StudioCommand:
    """The command ``studio`` on one home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {**os.environ, "FACTORY_HOME": str(home), "COLUMNS": "200"}

    def start(self, *words: str | Path, **options: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "factory_core.kernel.cli", *map(str, words)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        return subprocess.Popen(command, env=self.environment, text=True, **{**pipes, **options})

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        with self.start(*words) as process:
            output, errors = process.communicate(timeout=BUILD_SECONDS)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def build(self, spec: Path, out: Path, *options: str) -> Built:
        done = self.run("build", spec, "--out", out, *options)
        return Built(code=done.returncode, output=done.stdout, errors=done.stderr, out=out)

    def stop(self) -> None:
        assert supervisor.stop(self.home), "the supervisor did not end"


@pytest.fixture(scope="session")
def make_studio() -> Iterator[Callable[[], StudioCommand]]:
    """Makes homes. Toolchains are fetched once and copied: what they hold follows from their lock."""
    base = Path(tempfile.mkdtemp(prefix="factory-journeys-"))
    made: list[StudioCommand] = []

    def make() -> StudioCommand:
        home = base / f"home-{len(made)}"
        home.mkdir()
        for earlier in made[:1]:
            if (earlier.home / "toolchains").is_dir():
                shutil.copytree(earlier.home / "toolchains", home / "toolchains", symlinks=True)
        made.append(StudioCommand(home))
        return made[-1]

    try:
        yield make
    finally:
        for studio in made:
            supervisor.stop(studio.home)
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="session")
def studio(make_studio: Callable[[], StudioCommand]) -> StudioCommand:
    """The home most journeys share."""
    return make_studio()


@pytest.fixture(scope="session")
def taskboard(studio: StudioCommand, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The example of the README, built once."""
    return studio.build(ROOT / "examples" / "taskboard.yaml", tmp_path_factory.mktemp("taskboard") / "out")


@pytest.fixture(scope="session")
def examples() -> Path:
    return ROOT / "examples"
