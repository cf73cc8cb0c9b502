"""Whether the sandbox holds: canaries inside, baits outside."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from factory_core.contracts.sandbox import Limits, ProbeRow, SandboxJob, SandboxResult
from factory_core.sandbox.arguments import interpreter, interpreter_folder
from factory_core.sandbox.inside import canaries
from factory_core.sandbox.programs import ended, start_program

__all__ = ["bait_the_host", "canary_order", "find_processes", "probe_fully", "probe_quickly", "read_rows"]

Contain = Callable[[SandboxJob], Awaitable[SandboxResult]]

LIMITS = Limits(
    wall_seconds=20,
    cpu_seconds=10,
    memory_bytes=512 << 20,
    processes=24,
    tmp_bytes=4 << 20,
    work_bytes=4 << 20,
    file_bytes=3 << 20,
)
FILL_BYTES = 6 << 20
CROWD = 48
GREED = 2 << 30
HOARDERS, HOARD = 12, 96 << 20
NEIGHBOUR_SECONDS = "2"
BAIT_SECONDS = "120"
FORK_BOMB = "fork bomb"
SCRIPTS = "/probe"


async def probe_quickly(contain: Contain) -> tuple[ProbeRow, ...]:
    """Every canary, in one sandbox; in one of its own the fork bomb, which may end it."""
    async with bait_the_host() as bait:
        order = canary_order(bait, inside=True)
        quiet = order | {"canaries": [name for name in canaries.CANARIES if name != FORK_BOMB]}
        bomb = order | {"canaries": [FORK_BOMB]}
        tried = [
            _send_in(contain, "canaries.py", msgspec.json.encode(each).decode()) for each in (quiet, bomb)
        ]
        first, second = await asyncio.gather(*tried)
    stopped = b'["fork bomb", "", "processes"]' if second.killed == "processes" else b""
    return read_rows(b"\n".join((first.stdout, second.stdout, stopped)))


async def probe_fully(contain: Contain) -> tuple[ProbeRow, ...]:
    """Every canary while a neighbour works on, and what must die with its sandbox."""
    neighbour = asyncio.create_task(_send_in(contain, "neighbour.py", NEIGHBOUR_SECONDS))
    rows = await probe_quickly(contain)
    crowd = await _hoard(contain)
    survivor = await _survive(contain)
    beside = await neighbour
    unharmed = beside.exit_code == 0 and not beside.killed
    said = beside.stderr.decode(errors="replace")[-200:]
    return (*rows, crowd, survivor, ProbeRow(name="harm to a neighbour", refused=unharmed, detail=said))


@contextlib.asynccontextmanager
async def bait_the_host() -> AsyncGenerator[dict[str, Any]]:
    """A file, a process with a secret and four listeners on the host; what they are goes to the canaries."""
    token = secrets.token_hex(16)
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="factory-probe-")))
        (folder / "secret").write_text(token)
        listeners = [
            await asyncio.start_server(_hang_up, "127.0.0.1", 0),
            await asyncio.start_unix_server(_hang_up, folder / "socket"),
            await asyncio.start_unix_server(_hang_up, f"\0{token}"),
        ]
        for listener in listeners:
            stack.callback(listener.close)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(_Echo, ("127.0.0.1", 0))
        stack.callback(transport.close)
        process = start_program(("/bin/sleep", BAIT_SECONDS), environment={"CANARY": token})
        stack.push_async_callback(ended, process)
        stack.callback(process.kill)
        yield {
            "token": token,
            "file": str(folder / "secret"),
            "folder": str(folder),
            "home": str(Path.home()),
            "tcp": listeners[0].sockets[0].getsockname()[1],
            "udp": transport.get_extra_info("sockname")[1],
            "unix": str(folder / "socket"),
            "process": process.pid,
        }


def canary_order(bait: dict[str, Any], *, inside: bool) -> dict[str, Any]:
    """What to try. Outside, the folders are the bait's own, so that the negative control harms nothing."""
    folder = bait["folder"]
    home, python = Path(bait["home"]), interpreter_folder()
    return bait | {
        "canaries": list(canaries.CANARIES),
        "interpreter": python.relative_to(home).parts[0] if python.is_relative_to(home) else "",
        "read_only": ["/", "/usr", "/etc", "/dev", "/inputs", SCRIPTS] if inside else [folder],
        "fill": ["/tmp", "/work", "/dev/shm", "/dev", "/"] if inside else [folder],  # noqa: S108 - inside
        "fill_bytes": FILL_BYTES,
        "large_in": "/work" if inside else folder,
        "large_bytes": LIMITS.file_bytes + 1,
        "processes": CROWD,
        "memory_bytes": GREED,
    }


def read_rows(output: bytes) -> tuple[ProbeRow, ...]:
    """One row per canary; one that did not report back counts as not refused."""
    answers: dict[str, tuple[str, str]] = {}
    for line in filter(None, output.splitlines()):
        name, achieved, said = msgspec.json.decode(line, type=tuple[str, str, str])
        answers[name] = achieved, said
    silent = ("it did not report back", "")
    return tuple(
        ProbeRow(
            name=name, refused=not answers.get(name, silent)[0], detail="".join(answers.get(name, silent))
        )
        for name in canaries.CANARIES
    )


async def _send_in(contain: Contain, script: str, *arguments: str, limits: Limits = LIMITS) -> SandboxResult:
    with tempfile.TemporaryDirectory(prefix="factory-probe-") as work:
        return await contain(
            SandboxJob(
                command=(str(interpreter()), "-I", "-S", f"{SCRIPTS}/{script}", *arguments),
                work=Path(work),
                mounts={SCRIPTS: Path(__file__).parent / "inside"},
                limits=limits,
            )
        )


async def _hoard(contain: Contain) -> ProbeRow:
    limits = msgspec.structs.replace(LIMITS, memory_bytes=HOARD)
    result = await _send_in(contain, "hoard.py", str(HOARDERS), str(HOARD // 2), limits=limits)
    return ProbeRow(
        name="much memory in many processes",
        refused=result.exit_code != 0,
        detail=result.killed or f"{HOARDERS} processes took {HOARD >> 21} MiB each",
    )


async def _survive(contain: Contain) -> ProbeRow:
    """A process left behind by a command that ended, and one whose sandbox was killed."""
    token = secrets.token_hex(16)
    short = msgspec.structs.replace(LIMITS, wall_seconds=2)
    ended, killed = await asyncio.gather(
        _send_in(contain, "survivor.py", token, "go"),
        _send_in(contain, "survivor.py", token, "stay", limits=short),
    )
    alive = find_processes(token)
    tried = ended.stdout == killed.stdout == b"left behind\n" and killed.killed == "wall"
    detail = ", ".join(f"process {pid} is alive" for pid in alive) or (
        "" if tried else "nothing was left behind"
    )
    return ProbeRow(name="a process that outlives its sandbox", refused=tried and not alive, detail=detail)


def find_processes(token: str) -> list[int]:
    """Of the whole host, those with the token in their command line."""
    found: list[int] = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                if token.encode() in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
    return found


class _Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._transport.sendto(b"heard" if data else b"", addr)


def _hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()
