"""What a command in the sandbox may do, what ends it, and what comes back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from factory_core.contracts.sandbox import Limits, SandboxJob, SandboxResult
from factory_core.errors import SandboxUnavailable
from factory_core.sandbox import cgroups
from factory_core.sandbox.bubblewrap import BubblewrapSandbox, choose_sandbox, find_bubblewrap
from factory_core.sandbox.probe import find_processes

MEBIBYTE = 1 << 20


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def run(work: Path):
    def go(*command: str, **job: object) -> SandboxResult:
        limits = job.pop("limits", Limits(wall_seconds=30))
        order = SandboxJob(command=command, work=work, limits=limits, **job)
        return asyncio.run(BubblewrapSandbox().run(order))

    return go


def test_files_go_in_and_new_and_changed_ones_come_back(run, work):
    (work / "kept").write_text("as it was")
    (work / "changed").write_text("before")
    result = run(
        "/bin/sh",
        "-c",
        "echo after > changed; mkdir -p deep/er; echo new > deep/er/file; chmod +x deep/er/file",
    )
    assert result.exit_code == 0, result.stderr
    assert (work / "kept").read_text() == "as it was"
    assert (work / "changed").read_text() == "after\n"
    assert (work / "deep/er/file").read_text() == "new\n"
    assert os.access(work / "deep/er/file", os.X_OK)


def test_only_what_was_asked_for_comes_back(run, work):
    run("/bin/sh", "-c", "mkdir -p a/b; touch a/b/x.json a/y.json z.txt", collect=("**/*.json",))
    assert sorted(path.name for path in work.rglob("*") if path.is_file()) == ["x.json", "y.json"]


def test_symbolic_links_are_not_brought_back(run, work):
    run("/bin/sh", "-c", "ln -s /etc/passwd stolen; mkdir d; ln -s / d/root; echo x > d/file")
    assert [path.name for path in work.rglob("*") if not path.is_dir()] == ["file"]


def test_a_link_that_was_there_before_is_not_written_through(run, work, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (work / "link").symlink_to(outside)
    run("/bin/sh", "-c", "rm link; mkdir link; echo escaped > link/file")
    assert list(outside.iterdir()) == []


def test_exit_codes_and_signals_are_told_apart(run):
    assert run("/bin/sh", "-c", "exit 137").exit_code == 137
    assert run("/bin/sh", "-c", "kill -TERM $$").exit_code == -15
    assert run("no-such-program").exit_code == 127


def test_a_command_that_ends_its_carrier_brings_nothing_back(run, work):
    result = run("/bin/sh", "-c", "echo x > file; kill -9 $PPID; sleep 60")
    assert result.exit_code == -9
    assert not (work / "file").exists()


def test_the_environment_is_what_was_given_and_three_basics(run):
    lines = run("/usr/bin/env", environment={"PORT": "8000"}).stdout.decode().split()
    assert {line.partition("=")[0] for line in lines} - {"PWD"} == {"PATH", "HOME", "LANG", "PORT"}


def test_standard_input_arrives(run):
    assert run("/bin/cat", stdin=b"hello").stdout == b"hello"


def test_output_is_kept_to_its_bound_and_the_rest_counted(run):
    result = run(
        *("python3", "-c", "import sys; sys.stdout.write('x' * 300_000)"),
        limits=Limits(output_bytes=1000),
    )
    assert len(result.stdout) == 1000
    assert result.dropped_bytes == 299_000


def test_the_wall_clock_ends_everything(run):
    result = run("/bin/sh", "-c", "trap '' TERM; sleep 600 & wait", limits=Limits(wall_seconds=0.5))
    assert (result.killed, result.exit_code) == ("wall", -9)


def test_the_processor_limit_ends_a_busy_loop(run):
    result = run("/bin/sh", "-c", "while :; do :; done", limits=Limits(cpu_seconds=1, wall_seconds=60))
    assert result.exit_code in (-9, -24)
    assert result.killed == ""


def test_what_a_deleted_file_holds_counts_towards_the_work_folder(run):
    script = """
import os
files = []
try:
    for number in range(20):
        files.append(open(f"f{number}", "wb", buffering=0))
        os.unlink(f"f{number}")
        for _ in range(1024):
            files[-1].write(bytes(1024))
except OSError as error:
    print(error.errno)
"""
    result = run("python3", "-c", script, limits=Limits(work_bytes=8 * MEBIBYTE))
    assert result.stdout == b"28\n", result


def test_inputs_larger_than_the_work_folder_are_refused(run, work):
    (work / "large").write_bytes(os.urandom(2 * MEBIBYTE))
    result = run("/bin/true", limits=Limits(work_bytes=MEBIBYTE))
    assert result.exit_code == 125
    assert b"do not fit" in result.stderr


def test_loopback_works_inside(run):
    script = """
import socket
server = socket.create_server(("127.0.0.1", 8000))
client = socket.create_connection(("127.0.0.1", 8000))
server.accept()[0].send(b"hello")
print(client.recv(5).decode())
"""
    assert run("python3", "-c", script).stdout == b"hello\n"


def test_a_mount_is_seen_and_cannot_be_written(run, tmp_path):
    folder = tmp_path / "tools"
    folder.mkdir()
    (folder / "file").write_text("content")
    result = run("/bin/sh", "-c", "cat /tools/file; echo x > /tools/file", mounts={"/tools": folder})
    assert result.stdout == b"content"
    assert result.exit_code != 0
    assert (folder / "file").read_text() == "content"


@pytest.mark.parametrize("turns", [1, 3, 5, 10, 20, 40])
def test_cancelling_at_any_moment_leaves_no_process(work, turns):
    async def cancel_one() -> None:
        sandbox = BubblewrapSandbox()
        await sandbox.quick_probe()
        task = asyncio.create_task(
            sandbox.run(SandboxJob(command=("/bin/sh", "-c", "sleep 601.25"), work=work))
        )
        for _ in range(turns):
            await asyncio.sleep(0.002)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(cancel_one(), 30))
    assert find_processes("601.25") == []


def test_the_death_of_the_studio_ends_its_sandboxes(work):
    script = f"""
import asyncio
from pathlib import Path
from factory_core.contracts.sandbox import SandboxJob
from factory_core.sandbox.bubblewrap import BubblewrapSandbox
asyncio.run(BubblewrapSandbox().run(SandboxJob(command=("sleep", "602.25"), work=Path({str(work)!r}))))
"""

    async def die() -> None:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
        while not runs("sleep", "602.25"):
            await asyncio.sleep(0.01)
            assert process.returncode is None
        process.kill()
        await process.wait()
        while find_processes("602.25"):  # noqa: ASYNC110 - the time limit ends this, and nothing can tell
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(die(), 60))


def runs(*command: str) -> bool:
    """Whether that itself runs, and not only what is to start it."""
    for pid in find_processes(command[-1]):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1] == [
                os.fsencode(each) for each in command
            ]:
                return True
    return False


def left_behind(token: str) -> int:
    """What stays when a studio dies before bubblewrap could tell it which process is the first inside."""
    heard, tells = os.pipe()
    os.close(heard)
    options = ("--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--info-fd", str(tells))
    died = subprocess.run([find_bubblewrap(), *options, "sleep", token], pass_fds=[tells], check=False)
    os.close(tells)
    assert died.returncode == -signal.SIGPIPE
    (pid,) = find_processes(token)
    return pid


def test_a_new_studio_ends_what_waits_for_the_last_one_and_no_living_sandbox(work):
    async def go() -> list[int]:
        first, second = BubblewrapSandbox(), BubblewrapSandbox()
        living = asyncio.create_task(first.run(SandboxJob(command=("sleep", "604.25"), work=work)))
        while not runs("sleep", "604.25"):  # noqa: ASYNC110 - another process brings it about
            await asyncio.sleep(0.01)
        pid = left_behind("603.25")
        try:
            await second.quick_probe()
            assert runs("sleep", "604.25")
            return find_processes("603.25")
        finally:
            living.cancel()
            await asyncio.wait([living])
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    assert asyncio.run(asyncio.wait_for(go(), 60)) == []


def test_no_control_group_stays_behind(run):
    run("/bin/true")
    place = cgroups.find_place()
    if place is None:
        pytest.skip("control groups cannot be made here")
    assert list(place.pids.glob(f"{cgroups.PREFIX}{os.getpid()}-*")) == []


def test_groups_of_dead_processes_are_swept_and_those_of_living_ones_are_not():
    place = cgroups.find_place()
    if place is None:
        pytest.skip("control groups cannot be made here")
    dead = cgroups.ControlGroup(place, f"{cgroups.PREFIX}4194999-0", memory=1 << 24, processes=4)
    living = cgroups.ControlGroup(place, f"{cgroups.PREFIX}{os.getpid()}-test", memory=1 << 24, processes=4)
    try:
        cgroups.sweep()
        names = {folder.name for folder in place.pids.glob(f"{cgroups.PREFIX}*")}
        assert f"{cgroups.PREFIX}4194999-0" not in names
        assert f"{cgroups.PREFIX}{os.getpid()}-test" in names
    finally:
        living.remove()
        dead.remove()


def test_many_sandboxes_at_once_do_not_mix_their_work(tmp_path):
    async def crowd() -> list[SandboxResult]:
        sandbox = BubblewrapSandbox()
        jobs: list[SandboxJob] = []
        for number in range(8):
            folder = tmp_path / str(number)
            folder.mkdir()
            jobs.append(SandboxJob(command=("/bin/sh", "-c", f"echo {number} > mine"), work=folder))
        return await asyncio.gather(*map(sandbox.run, jobs))

    assert [result.exit_code for result in asyncio.run(crowd())] == [0] * 8
    assert [(tmp_path / str(number) / "mine").read_text() for number in range(8)] == [
        f"{n}\n" for n in range(8)
    ]


def test_a_bubblewrap_that_makes_no_sandbox_is_named_with_the_next_step(work, tmp_path):
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    sandbox = BubblewrapSandbox(broken)
    with pytest.raises(SandboxUnavailable, match=r"No permissions.*user namespaces.*studio doctor"):
        asyncio.run(sandbox.run(SandboxJob(command=("/bin/true",), work=work)))


def test_the_backend_is_chosen_once():
    assert choose_sandbox() is choose_sandbox()
