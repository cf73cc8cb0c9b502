"""One sandbox from its first process to its last."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
import tempfile
import time
from asyncio import StreamReader, Task
from pathlib import Path
from typing import IO, Any

import msgspec

from factory_core.contracts.sandbox import SandboxJob, SandboxResult
from factory_core.errors import SandboxUnavailable
from factory_core.finishing import to_the_end
from factory_core.sandbox.arguments import OWN_PROCESSES, Descriptors, bubblewrap_arguments
from factory_core.sandbox.census import take_census
from factory_core.sandbox.cgroups import ControlGroup, make_group
from factory_core.sandbox.harvest import read_report, unpack
from factory_core.sandbox.inside.carrier import GO, STARTED
from factory_core.sandbox.ledger import LEDGER
from factory_core.sandbox.programs import ended, start_program
from factory_core.sandbox.seccomp import deny_filter

__all__ = ["contain"]

CHUNK = 1 << 16
INDEX_BYTES = 16 << 20
"""What a report may hold besides the contents of the files."""
REMOVALS_TRIED, REMOVAL_PAUSE = 100, 0.01
SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
LOOK_SECONDS = 0.05
"""How often we look whether a sandbox has more processes than it may, or keeps asking for more."""
ADVICE = (
    "Allow unprivileged user namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns=0 or "
    "kernel.unprivileged_userns_clone=1; in a container, a seccomp profile that permits them), then run: studio doctor"
)


async def contain(bubblewrap: Path, job: SandboxJob) -> SandboxResult:
    """Run the job and return when every process of it is gone. Raises SandboxUnavailable when it could not start."""
    container = _Container(job)
    try:
        # A start is not left halfway: only a sandbox whose first process is known can be ended for certain.
        await to_the_end(container.start(bubblewrap))
        return await container.follow()
    finally:
        await to_the_end(container.close())


class _Information(msgspec.Struct):
    """What bubblewrap says about the sandbox it made."""

    child: int = msgspec.field(name="child-pid")


class _Container:
    def __init__(self, job: SandboxJob) -> None:
        self.job = job
        self.killed = ""
        self.stdout, self.stderr, self.dropped = bytearray(), bytearray(), 0
        self.started = time.monotonic()
        self.process: subprocess.Popen[bytes] | None = None
        self.first = -1
        """A pidfd of the first process inside: when that one has ended, all have."""
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.group: ControlGroup | None = None
        self.tasks: list[Task[Any]] = []
        self.gate: IO[bytes] | None = None
        """Where it is let go; closed before that, what has started ends."""
        self.ours = contextlib.ExitStack()
        self.report = self.ours.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed with the rest

    async def start(self, bubblewrap: Path) -> None:
        """Start bubblewrap, bound its first process while that one waits, then let it go."""
        with contextlib.ExitStack() as theirs:
            information, info_inside = await self._pipe(theirs)
            left, report_inside = await self._pipe(theirs)
            output, stdout_inside = await self._pipe(theirs)
            errors, stderr_inside = await self._pipe(theirs)
            gate_inside, gate = os.pipe()
            self.gate = self.ours.enter_context(os.fdopen(gate, "wb", buffering=0))
            theirs.callback(os.close, gate_inside)
            gate_again = os.dup(gate_inside)
            theirs.callback(os.close, gate_again)
            stdin, refused = _in_memory(self.job.stdin, theirs), _in_memory(deny_filter(), theirs)
            inherited = (info_inside, gate_inside, gate_again, report_inside, refused)
            fds = Descriptors(*inherited)
            self.process = start_program(
                (str(bubblewrap), *bubblewrap_arguments(self.job, fds)),
                stdin=stdin,
                stdout=stdout_inside,
                stderr=stderr_inside,
                lent=inherited,
                environment={},  # the sandbox can read its parent's
                folder="/",
                session=True,  # a Ctrl-C in the terminal is for the studio, which then cancels
            )
        work = (self._drain(output, self.stdout), self._drain(errors, self.stderr), self._take(left))
        self.tasks = [asyncio.create_task(part) for part in work]
        pid = _first_pid(await information.read())
        if pid is None:
            raise SandboxUnavailable(await self._complaint())
        self._hold(pid)
        self._bound(pid)
        self.gate.write(GO * 2)

    async def follow(self) -> SandboxResult:
        """Wait for the end, and see that it comes."""
        limits = self.job.limits
        try:
            async with asyncio.timeout(self.started + limits.wall_seconds - time.monotonic()):
                await asyncio.shield(self.gone)
        except TimeoutError:
            self.kill("wall")
            await self.gone
        await asyncio.gather(*self.tasks)
        if self.group and self.group.memory_ran_out():
            self.killed = self.killed or "memory"
        code = await self._bring_back()
        return SandboxResult(
            exit_code=code,
            stdout=bytes(self.stdout),
            stderr=bytes(self.stderr),
            seconds=time.monotonic() - self.started,
            killed=self.killed,
            dropped_bytes=self.dropped,
        )

    def kill(self, why: str) -> None:
        """End every process inside, once."""
        self.killed = self.killed or why
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.first, signal.SIGKILL)

    async def close(self) -> None:
        """Leave nothing: no process, no control group, no open file."""
        if self.gate:
            self.gate.close()
        if self.first >= 0 and not self.gone.done():
            self.kill("cancelled")
            await self.gone
        if self.process:
            await ended(self.process)
        await asyncio.gather(*self.tasks, return_exceptions=True)  # what they read from has closed
        if self.group:
            LEDGER.leave(self.group)
            await _take_away(self.group)
        self.ours.close()

    def _hold(self, pid: int) -> None:
        """Be able to kill it and to notice its end, whatever becomes of the number."""
        with contextlib.suppress(ProcessLookupError):
            self.first = os.pidfd_open(pid)
            self.ours.callback(os.close, self.first)
            loop = asyncio.get_running_loop()
            loop.add_reader(self.first, self._note_the_end)
            self.ours.callback(loop.remove_reader, self.first)

    def _bound(self, pid: int) -> None:
        limits = self.job.limits
        self.group = make_group(
            memory=limits.memory_bytes + limits.work_bytes + 2 * limits.tmp_bytes,
            processes=limits.processes + OWN_PROCESSES,
            shares=self.job.shares,
        )
        if self.group:
            self.group.add(pid)
            LEDGER.enter(self.group, self.job.shares)
        self.tasks.append(asyncio.create_task(self._watch(pid)))

    def _note_the_end(self) -> None:
        if not self.gone.done():
            self.gone.set_result(None)

    async def _watch(self, pid: int) -> None:
        while not self.gone.done():
            if self.group:
                self._look_at_group(self.group)
            else:
                self._look_from_outside(pid)
            await asyncio.wait([self.gone], timeout=LOOK_SECONDS)

    def _look_at_group(self, group: ControlGroup) -> None:
        """End what keeps forking: the kernel copies a process before it counts it, under locks that all on the host share,
        so a bomb that is merely refused slows its neighbours far beyond its share of the processor."""
        if group.forks_refused() > self.job.limits.processes:
            self.kill("processes")

    def _look_from_outside(self, pid: int) -> None:
        limits = self.job.limits
        most = limits.processes + OWN_PROCESSES
        census = take_census(pid, enough=most + 1)
        if census.processes > most:
            self.kill("processes")
        if census.memory > limits.memory_bytes:
            self.kill("memory")

    async def _drain(self, stream: StreamReader, kept: bytearray) -> None:
        room = self.job.limits.output_bytes
        while chunk := await stream.read(CHUNK):
            fits = chunk[: room - len(kept)]
            kept += fits
            self.dropped += len(chunk) - len(fits)

    async def _take(self, stream: StreamReader) -> None:
        room = self.job.limits.work_bytes + INDEX_BYTES
        while chunk := await stream.read(CHUNK):
            room -= len(chunk)
            if room < 0:
                self.kill("disk")
            else:
                self.report.write(chunk)

    async def _bring_back(self) -> int:
        """Unpack the report and give the command's exit code."""
        self.report.seek(0)
        started = self.report.read(len(STARTED)) == STARTED
        if self.killed:
            return -signal.SIGKILL
        if not started:
            raise SandboxUnavailable(await self._complaint())
        report = read_report(self.report)
        if report is None:  # the command ended the carrier
            return -signal.SIGKILL
        await asyncio.to_thread(unpack, report, self.report, self.job.work)
        return report.exit

    async def _complaint(self) -> str:
        await asyncio.gather(*self.tasks)
        said = self.stderr.decode(errors="replace").strip() or "it ended without a word"
        return f"Bubblewrap made no sandbox: {said}. {ADVICE}"

    async def _pipe(self, theirs: contextlib.ExitStack) -> tuple[StreamReader, int]:
        """A reader, and the end to write to, which belongs to the stack."""
        ours, inside = os.pipe()
        theirs.callback(os.close, inside)
        file = os.fdopen(ours, "rb", buffering=0)
        reader = StreamReader()
        try:
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), file
            )
        except BaseException:
            file.close()
            raise
        self.ours.callback(transport.close)
        return reader, inside


async def _take_away(group: ControlGroup) -> None:
    """The kernel counts a process out of its group shortly after it has ended. What stays is swept by the next studio."""
    for _ in range(REMOVALS_TRIED):
        if group.remove():
            return
        await asyncio.sleep(REMOVAL_PAUSE)


def _first_pid(information: bytes) -> int | None:
    """The first process inside, as bubblewrap tells it; None when it made none."""
    try:
        return msgspec.json.decode(information, type=_Information).child
    except msgspec.DecodeError:
        return None


def _in_memory(content: bytes, owner: contextlib.ExitStack) -> int:
    """A file descriptor that reads as ``content``, and that nobody can change."""
    fd = os.memfd_create("content", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    owner.callback(os.close, fd)
    with open(fd, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(fd, 0, os.SEEK_SET)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
    return fd
