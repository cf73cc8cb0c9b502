from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PLATFORM = {
    "factory-core": "core",
    "factory-migrations": "migrations",
    "factory-api": "api",
    "factory-plugin-storage": "plugins/storage",
}
VARIANTS = ("import_error", "misspelt_hook", "wrong_type", "clashing_route", "failing_migration")

PYPROJECT = """
[project]
name = "broken-{name}"
version = "0.0.1"
dependencies = ["factory-core"]
[project.entry-points."factory.plugins"]
{name} = "broken_{name}.plugin"
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
"""


class Environment:
    """A virtual environment with the platform's wheels, as a user gets them, and nothing of this workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "venv" / "bin" / "python"
        self.studio = folder / "venv" / "bin" / "studio"

    def install(self, *packages: str | Path) -> None:
        """With plain pip."""
        self.pip("install", "--find-links", str(self.folder / "wheels"), *map(str, packages))

    def pip(self, verb: str, *words: str) -> None:
        done = subprocess.run(
            [self.python, "-m", "pip", verb, "--quiet", *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def variables(self, **more: str) -> dict[str, str]:
        """A clean environment: what pip and processes need, and ``more``."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("FACTORY_", "PYTHON"))}
        return {**kept, **more}

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """``studio`` of this environment."""
        return subprocess.run(
            [self.studio, *words],
            env=self.variables(**variables),
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
        )

    def plugins(self, **variables: str) -> dict[str, dict[str, Any]]:
        """What ``studio plugins list --json`` says, by name."""
        done = self.run("plugins", "list", "--json", **variables)
        assert done.returncode == 0, done.stderr
        return {row["name"]: row for row in json.loads(done.stdout)["plugins"]}


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("clean")
    environment = Environment(folder)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    wheels = folder / "wheels"
    environment.pip(
        "wheel", "--no-deps", "-w", str(wheels), *(str(ROOT / folder) for folder in PLATFORM.values())
    )
    environment.install(*PLATFORM)
    environment.install(_copied(HERE / "good", folder / "good"))
    for variant in VARIANTS:
        environment.install(_broken(variant, folder / f"broken-{variant}"))
    return environment


def _copied(source: Path, target: Path) -> Path:
    """Building in a copy leaves no traces in the repository."""
    return Path(shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__")))


def _broken(variant: str, folder: Path) -> Path:
    package = folder / f"broken_{variant}"
    package.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PYPROJECT.format(name=variant))
    (package / "__init__.py").touch()
    shutil.copy(HERE / "broken" / f"{variant}.py", package / "plugin.py")
    if variant == "failing_migration":
        (package / "piccolo_migrations").mkdir()
        shutil.copy(HERE / "broken" / "half_2026_11_20t00_00_00.py", package / "piccolo_migrations")
    return folder


@pytest.fixture
def where(home: Path, database: str, valkey_url: str) -> dict[str, str]:
    """Settings of a studio on servers of the test's own."""
    return {
        "FACTORY_HOME": str(home),
        "FACTORY_DATABASE_URL": database,
        "FACTORY_QUEUE_URL": valkey_url,
    }
