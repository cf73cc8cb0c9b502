"""Servers of a test run that was killed do not stay."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from factory_core.testing.leftovers import owned_folder

KILLED = """
import os, signal
from factory_core.testing.leftovers import owned_folder
with owned_folder(lambda folder: None) as folder:
    print(folder, flush=True)
    signal.pause()
"""


def test_the_home_of_a_killed_run_is_cleared_by_the_next(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    other = subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    left = Path(other.stdout.readline().strip())
    stopped: list[Path] = []

    with owned_folder(stopped.append) as first:
        assert left.exists(), "a run that goes on keeps its home"
    assert stopped == [first]

    os.kill(other.pid, signal.SIGKILL)
    other.communicate()
    with owned_folder(stopped.append) as second:
        assert not left.exists()
    assert stopped == [first, left, second]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_nobody_ever_owned_is_left_alone(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    stranger = tmp_path / "factory-tests-stranger"
    stranger.mkdir()
    stopped: list[Path] = []
    with owned_folder(stopped.append) as folder:
        pass
    assert stopped == [folder]
    assert list(stranger.iterdir()) == []
