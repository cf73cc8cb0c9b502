from __future__ import annotations

import textwrap
from collections.abc import Callable
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from uuid import uuid4

import pytest

from factory_core.kernel.boot import Studio, start
from factory_core.settings import read_sources

HEAD = "from factory_core.hooks import hookimpl\n"


class Shelf:
    """A folder of installed distributions, found as pip's are."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.home = home

    def add(self, name: str, source: str, *, first_party: bool = False, distribution: str = "") -> str:
        """Install a plugin of one module."""
        module = f"m{uuid4().hex}"
        (self.folder / f"{module}.py").write_text(HEAD + textwrap.dedent(source))
        distribution = distribution or f"factory-plugin-{name}"
        info = self.folder / f"{distribution.replace('-', '_')}-1.2.3.dist-info"
        info.mkdir()
        keywords = "Keywords: factory-studio-first-party\n" if first_party else ""
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2.3\n{keywords}"
        )
        (info / "entry_points.txt").write_text(f"[factory.plugins]\n{name} = {module}\n")
        return module

    def entry_points(self) -> list[EntryPoint]:
        return [point for dist in distributions(path=[str(self.folder)]) for point in dist.entry_points]

    def boot(self, **variables: str) -> Studio:
        """Boot with these plugins and no others."""
        sources = read_sources({"FACTORY_HOME": str(self.home), **variables})
        return start(sources, found=self.entry_points())


@pytest.fixture
def shelf(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return Shelf(folder, home)


@pytest.fixture
def write_settings(home: Path) -> Callable[[str], None]:
    return lambda text: (home / "studio.toml").write_text(textwrap.dedent(text)) and None
