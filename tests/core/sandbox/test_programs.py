"""Programs are started without the interpreter in the child, where it could wait for ever."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from factory_core.sandbox.programs import ended, start_program

pytestmark = pytest.mark.anyio

# What is registered here runs in a child in which the interpreter tidies up.
SPAWNING = """
import asyncio, os, sys, tempfile
from pathlib import Path
import uvloop
from factory_core.contracts.sandbox import SandboxJob
from factory_core.sandbox import choose_sandbox
from factory_core.sandbox.programs import ended, start_program

os.register_at_fork(after_in_child=lambda: os.write(1, b"tidied up "))

async def by_the_loop():
    await (await asyncio.create_subprocess_exec("/bin/true")).wait()

async def by_us():
    assert await ended(start_program(["/bin/true"], environment={})) == 0

async def in_a_sandbox():
    with tempfile.TemporaryDirectory() as work:
        result = await choose_sandbox().run(SandboxJob(command=("/bin/true",), work=Path(work)))
    assert result.exit_code == 0, result

uvloop.run({"loop": by_the_loop, "us": by_us, "sandbox": in_a_sandbox}[sys.argv[1]]())
"""


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(("who", "said"), [("loop", "tidied up "), ("us", ""), ("sandbox", "")])
def test_the_interpreter_stays_out_of_the_child(who: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SPAWNING, who], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == said


async def test_its_end_is_told_however_it_ends() -> None:
    assert await ended(start_program(["/bin/sh", "-c", "exit 7"], environment={})) == 7
    killed = start_program(["/bin/sleep", "600"], environment={})
    waiting = [asyncio.create_task(ended(killed)) for _ in range(2)]
    await asyncio.sleep(0)
    killed.kill()
    assert await asyncio.gather(*waiting) == [-9, -9]
    assert await ended(killed) == -9, "once more"


async def test_who_waits_may_give_up() -> None:
    program = start_program(["/bin/sleep", "600"], environment={})
    before = open_files()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ended(program), 0.01)
    assert open_files() == before
    program.kill()
    assert await ended(program) == -9


async def test_it_gets_what_it_is_given_and_nothing_else() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader) as told:
        program = start_program(
            ["/usr/bin/env"], environment={"ONLY": "this"}, stdout=writer, folder="/", session=True
        )
        os.close(writer)
        assert told.read() == "ONLY=this\n"
    assert await ended(program) == 0
    with pytest.raises(FileNotFoundError):
        start_program(["/no/such/program"], environment={})
