"""Tries to get out. Runs inside the sandbox, and outside of it in the negative control: every escape that is tried here
works on an unprotected host, or the probe would prove nothing.

Standard library only. Each canary returns what it achieved, or raises OSError when it was refused.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["CANARIES", "main"]

Bait = dict[str, Any]
MEBIBYTE = 1 << 20
PTRACE_ATTACH, PTRACE_DETACH = 16, 17
NEW_USER, NEW_MOUNTS = 0x10000000, 0x00020000
REPLY_SECONDS = 0.5
CROWDED_SECONDS = 0.3
"""How long the fork bomb stands, for a bound that only looks from time to time."""
EXPECTED_NAMES = {"PATH", "HOME", "LANG", "LC_CTYPE", "PWD"}
OTHER_FAMILIES = (40, 38, 17)  # vsock, alg, packet


def environment(_: Bait) -> str:
    return listed(set(os.environ) - EXPECTED_NAMES)


def parents_environment(bait: Bait) -> str:
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if bait["token"].encode() in (process / "environ").read_bytes():
                found.append(f"of process {process.name}")
    return listed(found)


def home_folder(bait: Bait) -> str:
    return listed({entry.name for entry in Path(bait["home"]).iterdir()} - {bait["interpreter"]})


def host_file(bait: Bait) -> str:
    return Path(bait["file"]).read_text()


def password_hashes(_: Bait) -> str:
    Path("/etc/shadow").stat()
    return "/etc/shadow is there"


def tcp_loopback(bait: Bait) -> str:
    with socket.create_connection(("127.0.0.1", bait["tcp"]), REPLY_SECONDS):
        return "connected"


def tcp_out(_: Bait) -> str:
    with socket.socket() as client:
        client.setblocking(False)
        try:
            client.connect(
                ("192.0.2.1", 9)
            )  # a documentation address: only whether there is a way to it counts
        except BlockingIOError:
            return "on its way"
    return "connected"


def network_interfaces(_: Bait) -> str:
    return listed(name for _, name in socket.if_nameindex() if name != "lo")


def udp(bait: Bait) -> str:
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(REPLY_SECONDS)
        client.connect(("127.0.0.1", bait["udp"]))
        client.send(b"?")
        return client.recv(16).decode()


def unix_socket(bait: Bait) -> str:
    return call(bait["unix"])


def abstract_socket(bait: Bait) -> str:
    return call("\0" + bait["token"])


def other_address_families(_: Bait) -> str:
    opened: list[str] = []
    for family in OTHER_FAMILIES:
        for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW):
            with contextlib.suppress(OSError), socket.socket(family, kind):
                opened.append(str(family))
    return listed(opened)


def user_namespace(_: Bait) -> str:
    system_call("unshare", NEW_USER)
    return "made one"


def mounting(_: Bait) -> str:
    # In a namespace of its own where it can have one, so that a host is left as it was.
    with contextlib.suppress(OSError):
        system_call("unshare", NEW_USER | NEW_MOUNTS)
    system_call("mount", b"none", b"/proc", b"tmpfs", 0, None)
    return "mounted"


def tracing(bait: Bait) -> str:
    system_call("ptrace", PTRACE_ATTACH, bait["process"], None, None)
    os.waitpid(bait["process"], 0x40000000)
    system_call("ptrace", PTRACE_DETACH, bait["process"], None, None)
    return "attached to a process of the host"


def signalling(bait: Bait) -> str:
    os.kill(bait["process"], 0)
    return "reached a process of the host"


def kernel_settings(_: Bait) -> str:
    opened: list[str] = []
    for name in ("sys/kernel/core_pattern", "sys/kernel/hostname", "sysrq-trigger", "self/oom_score_adj"):
        with contextlib.suppress(OSError), Path("/proc", name).open("ab"):
            opened.append(name)
    return listed(opened)


def read_only_folders(bait: Bait) -> str:
    written: list[str] = []
    for folder in bait["read_only"]:
        with contextlib.suppress(OSError):
            path = Path(folder, f"canary-{bait['token']}")
            path.touch(exist_ok=False)
            written.append(folder)
            path.unlink()
    return listed(written)


def disk(bait: Bait) -> str:
    filled: list[str] = []
    for folder in bait["fill"]:
        path = Path(folder, f"canary-fill-{bait['token']}")
        with contextlib.suppress(OSError):
            path.mkdir()
            try:
                fill(path, bait["fill_bytes"])
                filled.append(folder)
            finally:
                shutil.rmtree(path)
    return listed(filled)


def large_file(bait: Bait) -> str:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    path = Path(bait["large_in"], f"canary-large-{bait['token']}")
    path.touch()
    try:
        os.truncate(path, bait["large_bytes"])
    finally:
        path.unlink()
    return f"{bait['large_bytes']} bytes"


def memory(bait: Bait) -> str:
    with contextlib.closing(mmap.mmap(-1, bait["memory_bytes"])) as block:
        for offset in range(0, bait["memory_bytes"], mmap.PAGESIZE):
            block[offset] = 1
    return f"{bait['memory_bytes'] >> 20} MiB"


def fork_bomb(bait: Bait) -> str:
    children: list[int] = []
    try:
        while len(children) < bait["processes"]:
            if (child := os.fork()) == 0:
                signal.pause()
                os._exit(0)
            children.append(child)
        time.sleep(CROWDED_SECONDS)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return f"{len(children)} processes"


CANARIES: dict[str, Callable[[Bait], str]] = {
    "environment": environment,
    "environment of the host's processes": parents_environment,
    "home folder": home_folder,
    "file of the host": host_file,
    "/etc/shadow": password_hashes,
    "TCP to the host's loopback": tcp_loopback,
    "TCP out": tcp_out,
    "network interfaces": network_interfaces,
    "UDP": udp,
    "Unix socket": unix_socket,
    "abstract Unix socket": abstract_socket,
    "vsock, crypto and raw sockets": other_address_families,
    "new user namespace": user_namespace,
    "mount": mounting,
    "ptrace": tracing,
    "signals to the host's processes": signalling,
    "kernel settings": kernel_settings,
    "read-only folders": read_only_folders,
    "disk fill": disk,
    "file larger than allowed": large_file,
    "fork bomb": fork_bomb,
    "2 GiB of memory": memory,
}


def main(bait: Bait) -> None:
    """Print a line of JSON per canary: its name, what it achieved (empty = refused), and what was said."""
    for name in bait["canaries"]:
        achieved, said = attempt(CANARIES[name], bait)
        print(json.dumps([name, achieved, said]), flush=True)  # noqa: T201 - its only way to answer


def attempt(canary: Callable[[Bait], str], bait: Bait) -> tuple[str, str]:
    """In a child, so that what it changes or breaks ends with it."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = (canary(bait), "")
        except (OSError, MemoryError, ValueError) as error:
            answer = ("", str(error) or type(error).__name__)
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        answer_bytes = file.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return json.loads(answer_bytes) if answer_bytes else ("", f"ended with {code}")


def listed(found: Any) -> str:
    """The findings in one line. Raises OSError when there are none."""
    if text := ", ".join(sorted(map(str, found))):
        return text
    raise PermissionError("nothing found")


def call(address: str) -> str:
    """What the host's socket answers."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(REPLY_SECONDS)
        client.connect(address)
        return "connected"


def system_call(name: str, *arguments: Any) -> None:
    """Through libc. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def fill(folder: Path, size: int) -> None:
    """Write real bytes, one mebibyte a file, so that no limit on a single file stops it."""
    block = os.urandom(MEBIBYTE)
    for number in range(size // MEBIBYTE):
        Path(folder, str(number)).write_bytes(block)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
