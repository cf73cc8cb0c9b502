"""What sandboxes of this process take is counted once, from the kernel's own figures, until their very end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from factory_core.contracts.sandbox import HostShare
from factory_core.sandbox import cgroups
from factory_core.sandbox.ledger import Ledger, weigh

HELD = 32 << 20
SPIN = f"held = bytearray({HELD})\nfor _ in range(5): sum(range(10**6))\nprint(flush=True)\ninput()"


def shares(project: str) -> tuple[HostShare, ...]:
    return HostShare(name=f"ledger {os.getpid()}"), HostShare(name=project)


def names(project: str) -> tuple[str, ...]:
    return tuple(share.name for share in shares(project))


@pytest.fixture
def spinning() -> Iterator[Callable[..., Any]]:
    """A group in which a process has used some processor and holds some memory, and how to end that process."""
    place = cgroups.find_place()
    if place is None or place.account is None or not place.nested:
        pytest.skip("control groups that count the processor cannot be made here")
    made: list[tuple[Any, Any]] = []

    def spin(whose: tuple[HostShare, ...]) -> tuple[Any, Callable[[], None]]:
        group = cgroups.make_group(memory=1 << 28, processes=8, shares=whose)
        code = f"input()\n{SPIN}"
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        made.append((group, process))
        group.add(process.pid)
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        return group, lambda: process.communicate(b"\n") and None

    yield spin
    for group, process in made:
        process.kill()
        process.communicate()
        while not group.remove():
            pass


def test_every_second_is_told_once(spinning: Callable[..., Any]) -> None:
    ledger = Ledger()
    group, end = spinning(shares("p"))
    ledger.enter(group, shares("p"))
    assert ledger.running() == {names("p"): group}
    first = ledger.take()[names("p")]
    assert first.seconds > 0
    assert first.memory > HELD
    ledger.put_back({names("p"): first})
    again = ledger.take()[names("p")]
    assert again.seconds >= first.seconds
    end()
    ledger.leave(group)
    total = group.processor_seconds()
    rest = ledger.take()[names("p")]
    assert rest.memory == 0
    assert again.seconds + rest.seconds == pytest.approx(total)
    assert (ledger.take(), ledger.running()) == ({}, {})


def test_projects_are_told_apart_and_who_has_no_share_is_not_told(spinning: Callable[..., Any]) -> None:
    ledger = Ledger()
    for project in ("p", "q", "q"):
        ledger.enter(spinning(shares(project))[0], shares(project))
    ledger.enter(spinning(())[0], ())
    found = ledger.take()
    assert found.keys() == {names("p"), names("q")}
    assert found[names("q")].memory > 2 * HELD


def test_a_group_that_is_gone_is_no_trouble(spinning: Callable[..., Any]) -> None:
    ledger = Ledger()
    group, end = spinning(shares("p"))
    ledger.enter(group, shares("p"))
    end()
    while not group.remove():
        pass
    weigh(ledger.running(), {names("p"): shares("p")})
    ledger.leave(group)
    assert ledger.take() == {}


def test_a_weight_reaches_those_that_run(spinning: Callable[..., Any]) -> None:
    place: Any = cgroups.find_place()
    ledger = Ledger()
    ledger.enter(spinning(shares("p"))[0], shares("p"))
    ledger.enter(spinning(shares("q"))[0], shares("q"))
    org, project = shares("p")
    changed = (org, HostShare(name=project.name, weight=7, max_memory=1 << 30))
    weigh(ledger.running(), {names("p"): changed})

    def weight(whose: str) -> int:
        folder = cgroups.share_folder(place.cpu, shares(whose))
        (file,) = (each for each in folder.iterdir() if each.name in ("cpu.weight", "cpu.shares"))
        return int(file.read_text())

    assert weight("p") == 7 * weight("q")
    folder = cgroups.share_folder(place.memory, shares("p"))
    (most,) = (file for file in folder.iterdir() if file.name in ("memory.max", "memory.limit_in_bytes"))
    assert int(most.read_text()) == 1 << 30
