"""Projects rendered from specifications, and the toolchain to run them with."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

import factory_template_neoforge
from factory_core.contracts.blueprint import Blueprint
from factory_core.contracts.template import TemplatePackage
from factory_core.sandbox import prepare
from factory_core.specs import read
from factory_plugin_agents.direct import load_template, render_project

EXAMPLES = Path(__file__).parents[4] / "examples"
SPECS = Path(__file__).parent / "specs"

Render = Callable[[str], Path]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def template() -> TemplatePackage:
    return load_template(Path(factory_template_neoforge.__file__).parent)


@pytest.fixture(scope="session")
def python(template: TemplatePackage) -> Path:
    """An interpreter with the template's locked packages, made once for each lock."""
    lock = template.root / template.manifest.toolchain.lock
    home = Path(tempfile.gettempdir()) / f"factory-test-toolchains-{os.getuid()}"
    home.mkdir(mode=0o700, exist_ok=True)
    toolchain = asyncio.run(prepare(lock, home))
    return toolchain.path / "bin" / "python"


@pytest.fixture(scope="session")
def read_spec() -> Callable[[str], Blueprint]:
    """The blueprint of an example or of a specification beside this file."""

    def blueprint_of(name: str) -> Blueprint:
        found = [*EXAMPLES.glob(f"{name}.*"), *SPECS.glob(f"{name}.*")]
        reading = read(found[0].read_bytes(), name=found[0].name)
        assert reading.blueprint is not None, reading.problems
        return reading.blueprint

    return blueprint_of


@pytest.fixture(scope="session")
def render(
    tmp_path_factory: pytest.TempPathFactory,
    read_spec: Callable[[str], Blueprint],
    template: TemplatePackage,
    python: Path,
) -> Render:
    """The folder of a rendered project, made once."""
    made: dict[str, Path] = {}

    def folder_of(name: str) -> Path:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            for path, content in render_project(read_spec(name), template, python=python).items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content)
            made[name] = folder
        return made[name]

    return folder_of


@pytest.fixture(scope="session")
def run(python: Path) -> Run:
    """Runs a module of the toolchain in a project; its output comes back."""

    def run_module(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            [str(python), "-m", *arguments],
            cwd=folder,
            env=environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    return run_module
