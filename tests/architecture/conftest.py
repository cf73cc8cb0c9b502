from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def members(root: Path) -> list[Path]:
    """The folders of the workspace's distributions."""
    import tomllib

    workspace = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]
    return [root / member for member in workspace["members"]]


@pytest.fixture(scope="session")
def sources(root: Path) -> dict[Path, str]:
    """Every Python file of ours that is not a template's content, by its path in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    paths = [Path(name) for name in listed if "/files/" not in name]
    return {path: (root / path).read_text() for path in paths if (root / path).is_file()}


@pytest.fixture(scope="session")
def shipped(sources: dict[Path, str]) -> dict[Path, str]:
    """Those that go into wheels."""
    return {path: text for path, text in sources.items() if path.parts[0] not in {"tests", "docs", "tools"}}


@pytest.fixture(scope="session")
def trees(shipped: dict[Path, str]) -> dict[Path, ast.Module]:
    return {path: ast.parse(text) for path, text in shipped.items()}
