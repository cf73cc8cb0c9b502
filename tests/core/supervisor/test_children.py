"""Processes kept running in the foreground, and the logs they write."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from factory_core.kernel.supervisor_children import ChildKeepsDying, ChildProcess, Children
from factory_core.kernel.supervisor_process import _trim

FOREGROUND = """
import sys
from factory_core.kernel.supervisor_children import ChildProcess, run_children
run_children([ChildProcess(name="sleeper", command=(sys.executable, "-c", "import time; time.sleep(1000)"))])
"""


@pytest.fixture
def runner() -> Iterator[psutil.Popen]:
    process = psutil.Popen([sys.executable, "-c", FOREGROUND])
    yield process
    if process.is_running():
        process.kill()
    process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_in_the_foreground_a_signal_ends_everything(
    runner: psutil.Popen, until, number: signal.Signals
) -> None:
    def children(*, besides: Sequence[psutil.Process] = ()) -> list[psutil.Process]:
        return [child for child in runner.children() if child not in besides]

    until(children)
    first = children()
    first[0].kill()
    until(lambda: children(besides=first))
    second = children(besides=first)
    runner.send_signal(number)
    assert runner.wait(10) == 0
    until(lambda: not any(child.is_running() for child in second))


def test_a_command_that_does_not_exist_is_given_up_while_starting(until) -> None:
    children = Children([ChildProcess(name="ghost", command=("/no/such/program",))])

    def given_up() -> bool:
        children.tend()
        try:
            return not children.starting()
        except ChildKeepsDying as error:
            return "ghost ended with code 127" in str(error)

    until(given_up)
    assert children.pids() == {}
    children.stop()


def test_output_goes_to_the_log_of_that_name(tmp_path: Path, until) -> None:
    children = Children([ChildProcess(name="talker", command=("echo", "hello"))], tmp_path)
    children.tend()
    until(lambda: (tmp_path / "talker.log").read_text().startswith("hello\n"))
    children.stop()


def test_a_child_that_is_up_but_not_ready_keeps_the_studio_starting(tmp_path: Path) -> None:
    sign = tmp_path / "ready"
    children = Children([ChildProcess(name="sleeper", command=("sleep", "1000"), ready=sign.exists)])
    children.tend()
    assert children.starting() == ["sleeper"]
    sign.touch()
    assert children.starting() == []
    pid = children.pids()["sleeper"]
    children.stop()
    assert not psutil.pid_exists(pid)


def test_a_long_log_is_cut_while_it_is_written(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with log.open("ab") as output:
        writer = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=output)
    assert writer.stdin is not None
    os.truncate(log, 9 << 20)
    (tmp_path / "short.log").write_text("kept")

    _trim(tmp_path)
    writer.communicate(b"after the cut\n")

    assert log.read_bytes() == b"after the cut\n"
    assert log.with_suffix(".log.1").stat().st_size == 9 << 20
    assert (tmp_path / "short.log").read_text() == "kept"
