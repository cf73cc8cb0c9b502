"""Programs are started without the interpreter in the child, where it could wait for ever."""

from __future__ import annotations

import asyncio
import json
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


WHO = """
import json, os, sys
kept = sorted(int(fd) for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}"))
print(json.dumps([sorted(os.environ), os.getcwd(), os.getsid(0) == os.getpid(), kept]))
"""


async def test_it_gets_what_it_is_given_and_nothing_else() -> None:
    (told, writer), (lent, other) = os.pipe(), os.pipe()
    os.set_inheritable(other, True)  # as a library might
    with os.fdopen(told) as told_file:
        program = start_program(
            [sys.executable, "-I", "-S", "-c", WHO],
            environment={"ONLY": "this"},
            stdout=writer,
            folder="/",
            session=True,
            lent=(lent,),
        )
        os.close(writer)
        names, folder, leads, kept = json.loads(told_file.read())
    assert await ended(program) == 0
    os.close(lent)
    os.close(other)
    assert ({*names} - {"LC_CTYPE"}, folder, leads, kept) == ({"ONLY"}, "/", True, [0, 1, 2, lent])


async def test_a_program_that_is_not_there_cannot_be_started() -> None:
    with pytest.raises(FileNotFoundError):
        start_program(["/no/such/program"], environment={})


async def test_its_end_is_told_when_no_more_files_may_be_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(pid: int) -> int:
        raise OSError(24, "Too many open files")

    program = start_program(["/bin/sleep", "600"], environment={})
    monkeypatch.setattr(os, "pidfd_open", none)
    waiting = asyncio.create_task(ended(program))
    await asyncio.sleep(0)
    program.kill()
    assert await waiting == -9
