"""What a person at a terminal sees and can do while a build runs."""

from __future__ import annotations

import os
import pty
import select
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are a thing of POSIX")
SECONDS = 120.0
CTRL_C = "\x03"


class Terminal:
    """A command at a terminal of its own."""

    def __init__(self, studio: Any, *words: str | Path) -> None:
        self._ours, theirs = pty.openpty()
        self._seen = ""
        self.process = studio.start(*words, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
                                    preexec_fn=_take_terminal)  # fmt: skip
        os.close(theirs)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def until(self, text: str) -> str:
        """Read until the text is there; what stood before it is not seen again."""
        while text not in self._seen:
            ready, _, _ = select.select([self._ours], [], [], SECONDS)
            assert ready, f"{text!r} never came; the last that did: {self._seen[-2000:]}"
            try:
                self._seen += os.read(self._ours, 65536).decode(errors="replace")
            except OSError:  # Linux says so when the other side has closed
                pytest.fail(f"{text!r} never came; the command ended with: {self._seen[-2000:]}")
        before, _, self._seen = self._seen.partition(text)
        return before

    def end(self) -> int:
        """Let it write what it has to write; its exit code."""
        try:
            while os.read(self._ours, 65536):
                pass
        except OSError:
            pass
        return self.process.wait(SECONDS)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


def _take_terminal() -> None:
    """Ctrl-C goes to the one whose controlling terminal it is."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def terminal(studio: Any, examples: Path, tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(studio, "build", examples / "clinic.yaml", "--out", tmp_path / "out")
    yield terminal
    terminal.close()


def test_phases_are_bars_and_ctrl_c_cancels_only_on_yes(terminal: Terminal) -> None:
    terminal.until("agents, about")
    terminal.until("s left")
    picture = terminal.until("s left")  # from one head of it to the next
    assert "━" in picture, "a phase is a bar"
    assert "\x1b[" in picture, "a live view moves the cursor"
    terminal.type(CTRL_C)
    terminal.until("Cancel the build? [y/N]")
    terminal.type("n\n")
    terminal.until("The build goes on")
    terminal.until("s left")  # the picture is back
    terminal.type(CTRL_C)
    terminal.until("Cancel the build? [y/N]")
    terminal.type("y\n")
    terminal.until("cancelled in")
    terminal.until("To resume: studio builds retry ")
    assert terminal.end() == 3
