"""Homes with a supervisor of their own, ended after each test whatever happened."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from factory_core.kernel.supervisor import SupervisorSpec, status, stop


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Polls a condition, and fails the test when it does not come true."""

    def poll(condition: Callable[[], object], seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true in time"
            time.sleep(0.02)

    return poll


@pytest.fixture
def processes_of() -> Callable[[Path], list[psutil.Process]]:
    """All processes that name a home in their command line or work in it."""

    def find(home: Path) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                texts = [*process.cmdline(), process.cwd()]
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
            if any(str(home) in text for text in texts):
                found.append(process)
        return found

    return find


@pytest.fixture
def spec() -> SupervisorSpec:
    return SupervisorSpec(load="supervised:supervision", ready_seconds=60)


@pytest.fixture
def make_home(tmp_path: Path, monkeypatch, processes_of) -> Iterator[Callable[..., Path]]:
    """Makes a home whose supervisor follows the given plan."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    homes: list[Path] = []

    def make(name: str = "home", **plan: object) -> Path:
        home = tmp_path / name
        home.mkdir(parents=True)
        (home / "plan.json").write_text(json.dumps(plan))
        homes.append(home)
        return home

    yield make
    for home in homes:
        if not stop(home):
            sys.stderr.write((home / "logs" / "supervisor.log").read_text())
        for process in processes_of(home):
            process.kill()


@pytest.fixture
def child_pid() -> Callable[[Path, str], int]:
    def find(home: Path, name: str = "worker") -> int:
        state = status(home)
        return 0 if state is None else state.children.get(name, 0)

    return find
