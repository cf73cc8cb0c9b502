"""What an organisation's build takes beside one that does harm on the same worker host. ``neighbours.py [CASE ...]``

The example ``taskboard`` is built by organisation B alone, then beside an organisation A whose tasks run a fork bomb, start
short processes all the time, ask for 2 GiB over and over, or spin in many sandboxes; then with B of weight 3; last beside
the same spinning without shares (flat groups, first come first served), as a control. One worker process, A held to a part
of its slots, since a slot that is taken is not given back for fairness. Every B is a new organisation, so nothing is
remembered. Shares are processor time of the organisations' control groups while B is built. B is built alone before and
after each case, and the ratio is to the mean of the two, since other work on the machine moves all. Writes
``.bench/neighbours.json`` and fails when a build beside A took more than ``BAR`` times as long as alone, or did not pass.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from uuid import UUID

import asyncpg
from loading import HERE, flat, load
from msgspec import Struct

from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Journal
from factory_core.builds.service import BuildOrder
from factory_core.builds.shares import OrganisationShare
from factory_core.kernel.boot import Studio, start
from factory_core.kernel.database import open_database
from factory_core.kernel.migrate import migrate
from factory_core.kernel.office import installed_templates, make_service
from factory_core.kernel.queue import open_queue
from factory_core.kernel.servers import servers_running
from factory_core.sandbox import cgroups, prepare

ROOT = HERE.parents[1]
SPEC = ROOT / "examples" / "taskboard.yaml"
SLOTS, HOSTILE, COMMANDS = 16, 8, 6
"""Slots of the worker, those A may have, and sandboxed commands at once."""
BAR = 2.2
"""Two organisations that want all of the processor get half of it each; a tenth for what is measured beside."""


class Case(Struct, frozen=True):
    """Beside what B is built."""

    script: str = ""
    weight: int = 1
    """B's."""
    shared: bool = True


ALONE = Case()
CASES = {
    "bomb": Case("bomb"),
    "churn": Case("churn"),
    "glutton": Case("glutton"),
    "spin": Case("spin"),
    "spin.weight3": Case("spin", weight=3),
    "spin.flat": Case("spin", shared=False),
}


class Host:
    """A studio's servers and one worker of it at a time."""

    def __init__(self, studio: Studio, pool: object) -> None:
        self.studio = studio
        self.journal = Journal(pool)

    @contextlib.asynccontextmanager
    async def worker(self, *, shared: bool) -> AsyncIterator[None]:
        command = [sys.executable, str(HERE / "hostile.py"), *([] if shared else ["flat"])]
        with (self.studio.home / "worker.log").open("ab") as said:
            process = await asyncio.create_subprocess_exec(*command, stdout=said, stderr=said)
        try:
            yield
        finally:
            process.terminate()
            await process.wait()

    async def organisation(self, name: str, share: OrganisationShare) -> UUID:
        org = uuid7()
        await self.journal.found(org, name)
        await self.journal.shares.give(org, share)
        return org


@contextlib.contextmanager
def counted(shares: tuple) -> Iterator[list[float]]:
    """Seconds of the processor that the organisation's group used in the block; empty where nothing counts them."""
    used: list[float] = []
    place = cgroups.find_place()
    if place is None or place.account is None or not place.nested:
        yield used
        return
    # As long as it is there the count goes on.
    held = cgroups.make_group(memory=1 << 24, processes=4, shares=shares)
    folder = cgroups.share_folder(place.account, shares[:1])
    before = cgroups.processor_seconds(folder)
    try:
        yield used
        used.append(cgroups.processor_seconds(folder) - before)
    finally:
        held.remove()


async def ended(connection: asyncpg.Connection, build: UUID) -> str:
    """The build's state when it has one that lasts."""
    while await connection.fetchval("select open from build where id = $1", build):  # noqa: ASYNC110 - others bring it about
        await asyncio.sleep(0.05)
    return await connection.fetchval("select state from build where id = $1", build)


async def measure(
    host: Host, service: object, connection: asyncpg.Connection, case: Case
) -> dict[str, float]:
    """How long B's build took, how it ended, and what each organisation got."""
    journal = host.journal
    async with host.worker(shared=case.shared), contextlib.AsyncExitStack() as stack:
        a_used: list[float] = []
        if case.script:
            a = await host.organisation("A", OrganisationShare(max_running=HOSTILE))
            plan = flat(400, agent="hostile", params={"script": case.script})
            (hostile,) = await load(journal, connection, [plan], a)
            stack.push_async_callback(journal.cancel, a, hostile)
            a_used = stack.enter_context(counted(await journal.shares.of_hosts(a, hostile)))
            running = "select count(*) from task where build_id = $1 and state = 'running' and id <> 'plan'"
            while await connection.fetchval(running, hostile) < HOSTILE:  # noqa: ASYNC110 - others bring it about
                await asyncio.sleep(0.05)
            await asyncio.sleep(1)  # they have begun to do harm
        b = await host.organisation("B", OrganisationShare(weight=case.weight))
        begin = time.perf_counter()
        build = (await service.start(b, BuildOrder(spec=SPEC.read_bytes(), name=SPEC.name))).build
        shares = await journal.shares.of_hosts(b, build)
        with counted(shares) as b_used:
            state = await ended(connection, build)
        figures = {"seconds": time.perf_counter() - begin, "passed": float(state == "passed")}
    figures |= {f"{name}.processor_seconds": used[0] for name, used in (("a", a_used), ("b", b_used)) if used}
    return figures


async def run(studio: Studio, names: list[str]) -> dict[str, dict[str, float]]:
    """The figures of each case."""
    await migrate(studio)
    for package in installed_templates(studio).values():
        await prepare(package.root / package.manifest.toolchain.lock, studio.home)
    figures, alone = {}, 0.0
    async with open_queue(studio) as queue, open_database(studio.database_url(), studio.settings) as database:
        connection = await asyncpg.connect(studio.database_url())
        host = Host(studio, database.pool)
        service = make_service(studio, host.journal, queue)
        for name in ["", *names]:
            if name:
                figures[name] = await measure(host, service, connection, CASES[name])
            before, alone = alone, (await measure(host, service, connection, ALONE))["seconds"]
            if name:
                figures[name]["alone.seconds"] = (before + alone) / 2
                figures[name]["ratio"] = 2 * figures[name]["seconds"] / (before + alone)
                show(name, figures[name])
        await connection.close()
    return figures


def show(name: str, found: dict[str, float]) -> None:
    """One line."""
    got = (f"{who.upper()} {found.get(f'{who}.processor_seconds', 0.0):.1f} s" for who in "ab")
    used = ", ".join(got) if CASES[name].shared else "not counted by organisation"
    print(
        f"{name:14} {found['seconds']:6.1f} s, alone {found['alone.seconds']:6.1f} s, ratio {found['ratio']:5.2f}  "
        f"{'passed' if found['passed'] else 'FAILED'}  processor: {used}",
        flush=True,
    )


def main() -> None:
    """Measure, print, judge."""
    names = sys.argv[1:] or list(CASES)
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {cgroups.what_is_missing() or 'shares are kept'}"
    )
    with tempfile.TemporaryDirectory(prefix="factory-neighbours-") as home:
        os.environ |= {
            "FACTORY_HOME": home,
            "FACTORY_WORKER_SLOTS": str(SLOTS),
            "FACTORY_CORES": str(COMMANDS),
        }
        studio = start()
        with servers_running(studio):
            figures = asyncio.run(run(studio, names))
    folder = ROOT / ".bench"
    folder.mkdir(exist_ok=True)
    (folder / "neighbours.json").write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
    bad = [
        name
        for name, found in figures.items()
        if CASES[name].shared and (not found["passed"] or found["ratio"] > BAR)
    ]
    if bad:
        raise SystemExit(f"MISSED: {', '.join(bad)}")


if __name__ == "__main__":
    main()
