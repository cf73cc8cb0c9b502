"""A worker whose event loop stands still ends, whatever it waits for; one that is merely long at work does not."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, ctypes, os, sys, time
import uvloop
from factory_core.kernel.watchdog import watch_loop

async def main():
    watch = asyncio.create_task(watch_loop(0.5))
    await asyncio.sleep(0)
    if sys.argv[1] == "asleep":
        time.sleep(600)  # not to wait for anything: it is what keeps the loop, and the watchdog cuts it short
    elif sys.argv[1] == "holding the interpreter":
        ctypes.PyDLL(None).pause()
    elif sys.argv[1] == "writing":
        os.write(2, bytes(1 << 20))
    elif sys.argv[1] == "at work":
        await asyncio.sleep(1.5)
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)
    time.sleep(1)  # twice what it bears: it would end the process here if it still watched

uvloop.run(main())
"""


def test_it_ends_also_where_nobody_reads_what_it_says() -> None:
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, "writing"], stderr=subprocess.PIPE)
    with program:
        assert program.wait(120) == -signal.SIGALRM


@pytest.mark.parametrize(
    ("what", "code"), [("asleep", 1), ("holding the interpreter", 1), ("at work", 0), ("nothing", 0)]
)
def test_a_loop_that_stands_still_ends_its_process(what: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, what], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, done.stderr
    assert ("in main" in done.stderr) == bool(code), "where it stood is written down"
