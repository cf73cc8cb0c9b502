"""Whatever is killed in the middle of a build: the build ends right, nothing finished runs twice, no event is lost."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from redis import Redis

from factory_core.kernel import supervisor

pytestmark = pytest.mark.xdist_group("survival")

ENOUGH = 6
"""So many tasks are done when the blow falls: the build is neither young nor over."""


@pytest.fixture(scope="module")
def home(make_studio: Callable[[], Any]) -> Iterator[Any]:
    studio = make_studio()
    yield studio
    studio.stop()


@pytest.fixture
def spec(examples: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The example under a name of its own, so that nothing is remembered from another test."""
    text = (examples / "library.yaml").read_text()
    path = tmp_path / "spec.yaml"
    path.write_text(
        re.sub(r"name: [^,}\n]+", f"name: Library {abs(hash(request.node.name)) % 10**8}", text, count=1)
    )
    return path


def events_of(lines: list[str]) -> list[dict[str, Any]]:
    return [document for line in lines if "seq" in (document := json.loads(line))]


def until_busy(process: subprocess.Popen[str]) -> list[str]:
    """The output so far, once enough tasks are done."""
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if sum('"task.done"' in seen for seen in lines) >= ENOUGH:
            return lines
    raise AssertionError(f"the build ended first: {lines[-3:]}")


def rest(process: subprocess.Popen[str]) -> tuple[list[str], int, str]:
    output, errors = process.communicate(timeout=600)
    return output.splitlines(), process.returncode, errors


def check_history(events: list[dict[str, Any]]) -> None:
    """A-1 to A-4 of the engine's invariants, read from the events alone."""
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    done = Counter(event["task"] for event in events if event["kind"] == "task.done")
    assert max(done.values()) == 1, done
    over: set[str] = set()
    for event in events:
        if event["kind"] == "task.started":
            assert event["task"] not in over, f"{event['task']} ran again after it was done"
        elif event["kind"] == "task.done":
            over.add(event["task"])
    assert events[-1]["kind"] == "build.ended"
    assert events[-1]["body"]["state"] == "passed"


def child(studio: Any, name: str) -> int:
    state = supervisor.status(studio.home)
    assert state is not None
    return state.children[name]


def processes(studio: Any, program: str) -> list[psutil.Process]:
    """The home's processes of that program, the oldest first."""
    found = [
        process
        for process in psutil.process_iter(["name", "cmdline", "create_time"])
        if process.info["name"].startswith(program)
        and any(str(studio.home) in word for word in [*process.info["cmdline"], *_folders(process)])
    ]
    return sorted(found, key=lambda process: process.info["create_time"])


def _folders(process: psutil.Process) -> list[str]:
    try:
        return [process.cwd()]
    except psutil.Error:
        return []


def blow(studio: Any, target: str) -> None:
    if target == "worker":
        os.kill(child(studio, "worker"), signal.SIGKILL)
    elif target == "supervisor":
        state = supervisor.status(studio.home)
        assert state is not None
        os.kill(state.pid, signal.SIGKILL)
    elif target == "flushall":
        state = supervisor.status(studio.home)
        assert state is not None
        Redis.from_url(next(url for url in state.urls.values() if url.startswith("unix"))).flushall()
    else:
        processes(studio, target)[0].send_signal(signal.SIGKILL)


@pytest.mark.parametrize("target", ["worker", "postgres", "valkey", "flushall", "supervisor"])
def test_a_build_survives(target: str, home: Any, spec: Path, tmp_path: Path) -> None:
    process = home.start("build", spec, "--out", tmp_path / "out", "--json")
    lines = until_busy(process)
    blow(home, target)
    more, code, errors = rest(process)
    assert code == 0, errors
    check_history(events_of([*lines, *more]))


def test_the_supervisor_finishes_a_build_whose_command_was_killed(
    home: Any, spec: Path, tmp_path: Path
) -> None:
    process = home.start("build", spec, "--out", tmp_path / "out", "--json")
    lines = until_busy(process)
    process.kill()
    process.communicate()
    build = events_of(lines)[0]["build"]
    attached = home.run("builds", "attach", build, "--out", tmp_path / "later", "--json")
    assert attached.returncode == 0, attached.stderr
    check_history(events_of(attached.stdout.splitlines()))
    assert list((tmp_path / "later").glob("*.zip"))


def test_a_build_needs_no_queue(make_studio: Callable[[], Any], spec: Path, tmp_path: Path) -> None:
    studio = make_studio()
    studio.environment["FACTORY_QUEUE_URL"] = f"unix://{tmp_path}/nobody.sock"
    try:
        done = studio.run("build", spec, "--out", tmp_path / "out", "--json")
    finally:
        studio.stop()
    assert done.returncode == 0, done.stderr
    check_history(events_of(done.stdout.splitlines()))


def test_ctrl_c_cancels_and_the_same_command_resumes(home: Any, spec: Path, tmp_path: Path) -> None:
    process = home.start("build", spec, "--out", tmp_path / "out", "--json")
    until_busy(process)
    process.send_signal(signal.SIGINT)
    more, code, errors = rest(process)
    assert code == 3, errors
    assert "resumes" in errors
    assert events_of(more)[-1]["body"]["state"] == "cancelled"
    again = home.run("build", spec, "--out", tmp_path / "out", "--json")
    assert again.returncode == 0, again.stderr
