"""Whatever is killed in the middle of a build: the build ends right, nothing finished runs twice, no event is lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request
import zlib
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


SMALL = """\
project: {{name: Notes {number}}}
entities:
  Note: {{title: "text(1..80)", done: bool = false, tag: Tag?}}
  Tag: {{name: text unique}}
requirements:
  - R-1: A note is kept.
acceptance:
  - name: a note is kept
    requirement: R-1
    steps:
      - {{post: /notes, body: {{title: Water the plants}}, expect: 201, save: note}}
      - {{get: /notes/$note.id, expect: 200}}
"""


@pytest.fixture
def spec(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A small project under a name of its own, so that nothing is remembered from another test."""
    path = tmp_path / "spec.yaml"
    path.write_text(SMALL.format(number=zlib.crc32(request.node.name.encode())))
    return path


class Following:
    """A command that prints events, read while it runs."""

    def __init__(self, studio: Any, folder: Path, *words: str | Path) -> None:
        self._output, self._errors = folder / "events.jsonl", folder / "errors.txt"
        with self._output.open("w") as output, self._errors.open("w") as errors:
            self.process = studio.start(*words, stdout=output, stderr=errors)

    @property
    def events(self) -> list[dict[str, Any]]:
        whole = self._output.read_text().rpartition("\n")[0].splitlines()
        return [document for line in whole if "seq" in (document := json.loads(line))]

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def until_busy(self, tasks: int = ENOUGH) -> None:
        """Return once so many tasks are done."""
        while sum(event["kind"] == "task.done" for event in self.events) < tasks:
            with contextlib.suppress(subprocess.TimeoutExpired):
                raise AssertionError(f"the build ended first, with {self.process.wait(0.02)}: {self.errors}")

    def end(self) -> int:
        return self.process.wait(600)


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


@pytest.mark.parametrize("targets", [("worker", "flushall"), ("postgres", "valkey"), ("supervisor",)])
def test_a_build_survives(targets: tuple[str, ...], home: Any, spec: Path, tmp_path: Path) -> None:
    following = Following(home, tmp_path, "build", spec, "--out", tmp_path / "out", "--json")
    for number, target in enumerate(targets, 1):
        following.until_busy(number * ENOUGH)
        blow(home, target)
    assert following.end() == 0, following.errors
    check_history(following.events)


def test_the_supervisor_finishes_a_build_whose_command_was_killed(
    home: Any, spec: Path, tmp_path: Path
) -> None:
    following = Following(home, tmp_path, "build", spec, "--out", tmp_path / "out", "--json")
    following.until_busy()
    following.process.kill()
    following.end()
    build = following.events[0]["build"]
    attached = Following(home, tmp_path, "builds", "attach", build, "--out", tmp_path / "later", "--json")
    assert attached.end() == 0, attached.errors
    check_history(attached.events)
    assert list((tmp_path / "later").glob("*.zip"))


def test_a_build_needs_no_queue(make_studio: Callable[[], Any], spec: Path, tmp_path: Path) -> None:
    studio = make_studio()
    studio.environment["FACTORY_QUEUE_URL"] = f"unix://{tmp_path}/nobody.sock"
    try:
        following = Following(studio, tmp_path, "build", spec, "--out", tmp_path / "out", "--json")
        assert following.end() == 0, following.errors
    finally:
        studio.stop()
    check_history(following.events)


def test_the_web_may_be_killed_while_a_build_runs(home: Any, spec: Path, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    web = home.start("serve", "--port", str(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        order = json.dumps({"spec": spec.read_text(), "name": spec.name}).encode()
        build = ask(web, f"http://127.0.0.1:{port}/api/v1/builds", order)["id"]
        while ask(web, f"http://127.0.0.1:{port}/api/v1/builds/{build}/events")["last"] < ENOUGH:
            assert web.poll() is None
    finally:
        state = supervisor.status(home.home)
        assert state is not None
        for process in (
            *psutil.Process(web.pid).children(),
            web,
        ):  # its workers; the supervisor is nobody's servant
            if process.pid != state.pid:
                process.kill()
        web.wait()
    attached = Following(home, tmp_path, "builds", "attach", build, "--out", tmp_path / "later", "--json")
    assert attached.end() == 0, attached.errors
    check_history(attached.events)


def ask(web: subprocess.Popen[str], url: str, body: bytes | None = None) -> dict[str, Any]:
    """The answer, once somebody answers."""
    while True:
        assert web.poll() is None, "the web process ended"
        request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read()) from error
        except OSError:
            with contextlib.suppress(subprocess.TimeoutExpired):
                web.wait(0.05)


def test_ctrl_c_cancels_and_the_same_command_resumes(home: Any, spec: Path, tmp_path: Path) -> None:
    following = Following(home, tmp_path, "build", spec, "--out", tmp_path / "out", "--json")
    following.until_busy()
    following.process.send_signal(signal.SIGINT)
    assert following.end() == 3, following.errors
    assert "resumes" in following.errors
    assert following.events[-1]["body"]["state"] == "cancelled"
    again = home.run("build", spec, "--out", tmp_path / "out", "--json")
    assert again.returncode == 0, again.stderr
