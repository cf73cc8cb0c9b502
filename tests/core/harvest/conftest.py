from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from factory_core.builds.harvest.contribution import Contribution
from factory_core.contracts.files import Produced


def _made(producer: str, *paths: str, title: str = "", content: bytes | None = None) -> Contribution:
    return Contribution(
        producer=producer,
        title=title or f"Make {producer}",
        files=tuple(
            Produced(
                path=path,
                content=f"{path}\n".encode(errors="replace") if content is None else content,
                executable=path.endswith(".sh"),
            )
            for path in paths
        ),
    )


@pytest.fixture
def made() -> Callable[..., Contribution]:
    """``made("models/Card", "app/card.py")``: a task with files whose content is their path."""
    return _made


@pytest.fixture
def contributions() -> tuple[Contribution, ...]:
    return (
        _made("skeleton", "README.md", ".gitignore", "scripts/run.sh", title="Lay out the project"),
        _made("models/Card", "app/models/card.py", "app/models.py"),
        _made("empty"),
        _made("models/Straße", "app/models/straße.py", "app-x/z", "a"),
    )


@pytest.fixture
def git(tmp_path: Path) -> Callable[..., str]:
    """The real git, with nothing of this machine's configuration."""

    def run(folder: Path, *arguments: str) -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "LC_ALL": "C",
        }
        command = ["git", "-c", "core.quotePath=false", "-c", "safe.directory=*", *arguments]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout + done.stderr

    return run
