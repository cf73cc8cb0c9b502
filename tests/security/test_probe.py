"""The sandbox refuses every escape, and each of them works without it."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

from factory_core.contracts.sandbox import ProbeRow, SandboxJob
from factory_core.errors import SandboxUnavailable
from factory_core.sandbox import arguments, cgroups, container, probe
from factory_core.sandbox.bubblewrap import BubblewrapSandbox
from factory_core.sandbox.inside import canaries


def open_rows(rows: tuple[ProbeRow, ...]) -> dict[str, str]:
    return {row.name: row.detail for row in rows if not row.refused}


def test_everything_is_refused():
    rows = asyncio.run(BubblewrapSandbox().probe())
    assert open_rows(rows) == {}
    assert len(rows) == len(canaries.CANARIES) + 3


def test_everything_is_refused_where_no_control_group_can_be_made(monkeypatch):
    monkeypatch.setattr(cgroups, "find_place", lambda: None)
    assert open_rows(asyncio.run(BubblewrapSandbox().probe())) == {}


@pytest.fixture(scope="module")
def outside() -> tuple[ProbeRow, ...]:
    """The same canaries without a sandbox."""

    async def try_all() -> bytes:
        async with probe.bait_the_host() as bait:
            order = probe.canary_order(bait, inside=False)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", canaries.__file__, json.dumps(order)),
                stdout=asyncio.subprocess.PIPE,
                env={"FACTORY_SECRET": "of the host"},
            )
            return (await process.communicate())[0]

    return probe.read_rows(asyncio.run(try_all()))


# What an unprivileged user, or a host without a network, is refused anyway.
DEPENDS_ON_THE_HOST = {
    "kernel settings",
    "mount",
    "network interfaces",
    "new user namespace",
    "ptrace",
    "TCP out",
    "vsock, crypto and raw sockets",
}


@pytest.mark.parametrize("name", sorted(set(canaries.CANARIES) - DEPENDS_ON_THE_HOST))
def test_without_a_sandbox_it_is_not_refused(outside, name):
    assert name in open_rows(outside)


def weaken(monkeypatch: pytest.MonkeyPatch, *removed: str, added: tuple[str, ...] = ()) -> None:
    """Take options, each with its values, out of bubblewrap's arguments."""
    true = arguments.bubblewrap_arguments

    def fewer(job, fds):
        line = true(job, fds)
        for option in removed:
            words = option.split()
            for start in range(len(line)):
                if line[start : start + len(words)] == words:
                    del line[start : start + len(words)]
                    break
            else:
                raise AssertionError(f"bubblewrap is not told {option}")
        return [*added, *line]

    monkeypatch.setattr(container, "bubblewrap_arguments", fewer)


NETWORK = (
    "--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup",
)  # fmt: skip


@pytest.mark.parametrize(
    ("removed", "added", "rows"),
    [
        (("--unshare-all",), NETWORK, {"TCP to the host's loopback", "UDP", "abstract Unix socket"}),
        (("--remount-ro /",), (), {"read-only folders", "disk fill"}),
        (("--remount-ro /dev",), (), {"read-only folders", "disk fill"}),
        (("--remount-ro /proc",), (), {"kernel settings"}),
        ((f"--size {probe.LIMITS.work_bytes}",), (), {"disk fill"}),
        (("--clearenv",), ("--setenv", "LEAK", "1"), {"environment"}),
        ((), ("--ro-bind", "/etc", "/etc"), {"/etc/shadow"}),
    ],
)
def test_without_one_of_its_walls_the_row_is_open_and_nothing_runs(
    monkeypatch, tmp_path, removed, added, rows
):
    weaken(monkeypatch, *removed, added=added)
    sandbox = BubblewrapSandbox()
    assert rows <= set(open_rows(asyncio.run(sandbox.quick_probe())))
    with pytest.raises(SandboxUnavailable, match="did not refuse"):
        asyncio.run(sandbox.run(SandboxJob(command=("/bin/true",), work=tmp_path)))


def test_without_the_filter_other_address_families_are_open(monkeypatch):
    allow_all = b"\x06\x00\x00\x00\x00\x00\xff\x7f"
    monkeypatch.setattr(container, "deny_filter", lambda: allow_all)
    if "vsock, crypto and raw sockets" not in open_rows(asyncio.run(BubblewrapSandbox().quick_probe())):
        pytest.skip("this kernel has none of them")


def test_without_limits_on_processes_the_fork_bomb_is_open(monkeypatch):
    monkeypatch.setattr(cgroups, "find_place", lambda: None)
    monkeypatch.setattr(container, "OWN_PROCESSES", 10_000)
    monkeypatch.setattr(arguments, "OWN_PROCESSES", 10_000)
    assert "fork bomb" in open_rows(asyncio.run(BubblewrapSandbox().quick_probe()))


def test_a_silent_canary_counts_as_open():
    assert set(open_rows(probe.read_rows(b""))) == set(canaries.CANARIES)
