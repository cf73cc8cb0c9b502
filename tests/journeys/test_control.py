"""``studio builds pause|resume|retry|fork`` on a home of its own, whatever is killed meanwhile."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from factory_core.kernel import supervisor

pytestmark = pytest.mark.xdist_group("control")

ENOUGH = 4
"""So many tasks are done when the blow falls."""
SPEC = """\
project: {name: Held}
entities:
  Note: {title: "text(1..80)", done: bool = false}
requirements:
  - R-1: A note is kept.
acceptance:
  - name: a note is kept
    requirement: R-1
    steps:
      - {post: /notes, body: {title: Water the plants}, expect: 201, save: note}
      - {get: /notes/$note.id, expect: 200}
"""


@pytest.fixture(scope="module")
def home(make_studio: Callable[[], Any]) -> Iterator[Any]:
    studio = make_studio()
    yield studio
    studio.stop()


def ask(home: Any, *words: str) -> Any:
    done = home.run("builds", *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def states(home: Any, build: str) -> Counter[str]:
    return Counter(task["state"] for task in ask(home, "show", build)["tasks"])


def kill_everything(home: Any) -> None:
    """The supervisor and all it started, at once."""
    state = supervisor.status(home.home)
    assert state is not None
    for pid in (state.pid, *state.children.values()):
        os.kill(pid, signal.SIGKILL)


def events(output: str) -> list[dict[str, Any]]:
    return [document for line in output.splitlines() if "seq" in (document := json.loads(line))]


def dones(told: list[dict[str, Any]]) -> Counter[str]:
    return Counter(event["task"] for event in told if event["kind"] == "task.done")


def ran_again(told: list[dict[str, Any]]) -> list[str]:
    """Tasks that were started after they were done, though nothing had reset them."""
    over: set[str] = set()
    again: list[str] = []
    for event in told:
        match event["kind"]:
            case "task.done":
                over.add(event["task"])
            case "task.reset" | "task.removed":
                over.discard(event["task"])
            case "task.started" if event["task"] in over:
                again.append(event["task"])
            case _:
                pass
    return again


def until(home: Any, build: str, state: str, count: int) -> None:
    """Return once so many of its tasks are in that state."""
    while states(home, build)[state] < count:
        assert ask(home, "show", build)["build"]["state"] in ("queued", "planning", "running")


@pytest.mark.slow
def test_a_paused_build_survives_the_loss_of_everything_and_is_resumed_retried_and_forked(
    home: Any, tmp_path: Path
) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC)
    build = json.loads(home.run("build", spec, "--detach", "--json").stdout)["build"]
    until(home, build, "done", ENOUGH)
    assert ask(home, "pause", build, "--reason", "lunch")["state"] == "paused"
    kill_everything(home)
    shown = home.run("builds", "show", build).stdout
    assert "paused" in shown
    assert "lunch" in shown
    assert f"studio builds resume {build}" in shown
    before = states(home, build)
    assert sum(before.values()) > before["done"] >= ENOUGH
    assert ask(home, "resume", build)["state"] in ("queued", "planning", "running")
    followed = home.run("builds", "attach", build, "--out", tmp_path / "out", "--json")
    assert followed.returncode == 0, followed.stderr
    told = events(followed.stdout)
    assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
    assert max(dones(told).values()) == 1
    assert ran_again(told) == []
    assert [event["body"]["reason"] for event in told if event["kind"] == "build.paused"] == ["lunch"]
    assert told == events(home.run("builds", "logs", build, "--json").stdout)
    logged = home.run("builds", "logs", build, "--task", "audit").stdout
    assert "passed  audit: 0 secrets (limit 0 secrets)" in logged
    assert len(logged.splitlines()) < len(told)
    refused = home.run("builds", "cancel", build)
    assert (refused.returncode, "has passed already" in refused.stderr) == (1, True)

    refused = home.run("builds", "retry", build)
    assert (refused.returncode, "fork it" in refused.stderr) == (1, True)
    fork = ask(home, "fork", build, "--from", "audit", "--key", "k")
    assert fork == ask(home, "fork", build, "--from", "audit", "--key", "k") | {"reused": fork["reused"]}
    assert fork["reused"] == len(ask(home, "show", build)["tasks"]) - 2
    forked = home.run("builds", "attach", fork["build"], "--out", tmp_path / "fork", "--json")
    assert forked.returncode == 0, forked.stderr
    assert set(dones(events(forked.stdout))) == {"audit", "deliver"}
    compared = ask(home, "compare", build, fork["build"])
    assert compared["files"] | {"same": 0} == {"added": [], "changed": [], "removed": [], "same": 0}
    assert compared["files"]["same"] > 10
    assert [(pair["id"], pair["left"], pair["right"]) for pair in compared["requirements"]] == [
        ("R-1", "proven", "proven")
    ]
    seconds = {task["id"]: task["right_seconds"] for task in compared["tasks"]}
    assert {task for task, taken in seconds.items() if taken is not None} == {"audit", "deliver"}
    assert "0 changed" in home.run("builds", "compare", build, fork["build"]).stdout
    assert f"a fork of {build}" in home.run("builds", "show", fork["build"]).stdout


@pytest.mark.slow
def test_a_retry_survives_its_worker(home: Any, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC.replace("Held", "Again"))
    build = json.loads(home.run("build", spec, "--detach", "--json").stdout)["build"]
    until(home, build, "done", ENOUGH)
    assert home.run("builds", "cancel", build).returncode == 0
    assert home.run("builds", "cancel", build).returncode == 0
    assert home.run("builds", "attach", build, "--out", tmp_path / "out").returncode == 3
    assert ask(home, "retry", build)["state"] in ("queued", "planning", "running")
    until(home, build, "running", 1)
    state = supervisor.status(home.home)
    assert state is not None
    os.kill(state.children["worker"], signal.SIGKILL)
    followed = home.run("builds", "attach", build, "--out", tmp_path / "out", "--json")
    assert followed.returncode == 0, followed.stderr
    told = events(followed.stdout)
    assert [event["kind"] for event in told].count("build.retried") == 1
    assert [event["body"]["state"] for event in told if event["kind"] == "build.ended"] == [
        "cancelled",
        "passed",
    ]
    fences = [(event["task"], event["fence"]) for event in told if event["kind"] == "task.started"]
    assert len(set(fences)) == len(fences)
    assert ran_again(told) == []
    assert dones(told)["plan"] == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("pause", "no-id"), "not the id of a build"),
        (("retry", "01990000-0000-7000-8000-000000000000"), "There is no build"),
        (("fork", "01990000-0000-7000-8000-000000000000", "--param", "x"), "NAME=VALUE"),
        (("cancel", "01990000-0000-7000-8000-000000000000"), "There is no build"),
        (("logs", "01990000-0000-7000-8000-000000000000"), "There is no build"),
        (("logs", "01990000-0000-7000-8000-000000000000", "--task", "x"), "There is no build"),
    ],
)
def test_what_is_wrong_is_said(home: Any, words: tuple[str, ...], told: str) -> None:
    done = home.run("builds", *words)
    assert (done.returncode, told in done.stderr) == (64, True), done.stderr
