"""Break a studio over and over while it builds, then check that nothing was lost, doubled or invented.

``python tests/chaos/run.py [--seed N] [--builds N] [--faults N] [--mutant NAME]``; exit 1 when an invariant is violated.
The seed decides builds, faults, targets, pauses and durations. What the operating system does in between it cannot.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import secrets
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import invariants
import mutants
import plans
from calm import cancelled_process_ends, told_in_time
from chores import Chores
from clients import Clients
from cluster import Cluster, opened
from deciders import Deciders
from faults import Faults
from guests import ORGANISATIONS, Guests
from sampler import Sampler

DRAIN_SECONDS = 90.0
MUTANT_DRAIN_SECONDS = 12.0


class Run:
    """One run: its cluster, its clients, its faults, and what came out."""

    def __init__(self, options: argparse.Namespace, cluster: Cluster) -> None:
        self.options = options
        self.cluster = cluster
        self.clients = Clients(cluster, random.Random(f"clients {options.seed}"))
        self.faults = Faults(cluster, options.seed, self.names_so_far)
        self.sampler = Sampler(cluster)
        self.deciders = Deciders(self.clients, options.seed)
        self.guests = Guests(cluster, options.seed, lambda: self.clients.names)
        self.chores = Chores(cluster)
        self.struck = 0
        self.cut_short = False
        """Not all builds were followed to their end."""
        self.violations: list[str] = []
        self.figures: dict[str, float] = {}

    async def go(self) -> None:
        began = time.monotonic()
        connection = await self.cluster.connect()
        await mutants.plant(connection, self.options.mutant)
        # Limits below what the workers have slots for, so that they are what holds builds back.
        await self.guests.move_in(connection, sum(worker.slots for worker in self.cluster.workers))
        await connection.close()
        await self.cluster.start_workers()
        beside = [
            asyncio.create_task(self.clients.list_for_ever()),
            asyncio.create_task(self.sampler.watch()),
        ]
        asking = asyncio.create_task(self.chores.ask_until_enough())
        building = asyncio.create_task(self.build())
        await self.storm()
        await self.drain(building)
        self.chores.enough = True
        await asking
        if building.done() and not self.options.quick:
            self.violations += await told_in_time(self.cluster)
            self.sampler.others = 3
            self.violations += await cancelled_process_ends(self.cluster, self.clients, self.figures)
        for task in beside:
            task.cancel()
        await self.judge()
        self.figures["seconds"] = time.monotonic() - began

    async def build(self) -> None:
        """All builds, kept in step with the faults so that neither ends long before the other."""
        names = plans.names(
            self.options.seed, self.options.builds, mutants.KINDS.get(self.options.mutant, "")
        )
        dice = random.Random(f"cancels {self.options.seed}")
        share = self.options.faults / self.options.builds

        async def one(number: int, name: str, cancel: bool) -> None:
            while self.struck < (number - 8) * share:  # noqa: ASYNC110 - a number that grows in the storm
                await asyncio.sleep(0.05)
            if whose[number] is None:
                await self.deciders.build(number, name, cancel=cancel)
            else:
                await self.guests.build(number, name, whose[number])

        whose = plans.owners(self.options.seed, names, [None, None, *ORGANISATIONS])
        cancels = [dice.random() < 0.1 and name.startswith("dag") for name in names]
        await asyncio.gather(*(one(n, name, cancels[n]) for n, name in enumerate(names)))

    def names_so_far(self) -> list[str]:
        """Builds that were ordered, of whatever organisation."""
        return [*self.clients.names, *self.guests.names]

    async def storm(self) -> None:
        dice = random.Random(f"pauses {self.options.seed}")
        kinds = mutants.BLOWS.get(self.options.mutant, ())
        under_way: list[asyncio.Task[None]] = []
        for number, kind in enumerate(self.faults.schedule(self.options.faults, kinds)):
            await asyncio.sleep(dice.uniform(0.2, 1.0))
            under_way.append(asyncio.create_task(self.faults.strike(number, kind)))
            self.struck += 1
            while sum(not blow.done() for blow in under_way) > 5:  # noqa: ASYNC110 - any of them
                await asyncio.sleep(0.05)
        await asyncio.gather(*under_way)
        for member in (*self.cluster.workers, self.cluster.web):
            member.wire.heal()

    async def drain(self, building: asyncio.Task[None]) -> None:
        """With everything healed, everything ends."""
        brief = self.options.mutant in mutants.BRIEF
        done, _ = await asyncio.wait((building,), timeout=MUTANT_DRAIN_SECONDS if brief else DRAIN_SECONDS)
        if done:
            building.result()
        else:
            building.cancel()
            self.cut_short = True
        for worker in self.cluster.workers:
            if worker.process is None or worker.process.returncode is not None:
                tail = self.cluster.tail(worker.name)
                self.violations.append(f"A-8 {worker.name} ended by itself: {tail}")

    async def judge(self) -> None:
        connection = await self.cluster.connect()
        await self.forget_the_dead(connection)
        if self.options.mutant not in mutants.BRIEF:
            self.violations += await self.chores.judge(
                connection, lambda: invariants.Ledger(self.cluster.ledger).jobs, DRAIN_SECONDS
            )
        journal = await invariants.Journal.read(connection)
        await connection.close()
        ledger = invariants.Ledger(self.cluster.ledger)
        ended = [
            build for build, row in journal.builds.items() if not row["open"] and build in self.clients.seen
        ]
        for build in ended:
            if not self.cut_short:
                await self.clients.resume_anywhere(build)
            await self.clients.fetch(build)
            told = [(e["seq"], e["kind"], e["task"], e["fence"]) for e in journal.events[build]]
            seen = self.clients.seen[build]
            if told[: len(seen)] != seen or not (self.cut_short or told == seen):
                self.violations.append(
                    f"A-2 build {build}: the follower saw another history than was written"
                )
        keys = {*self.clients.keys.values(), *self.guests.names}
        if len(journal.builds) != len(keys) + self.sampler.others:
            self.violations.append(f"A-13 {len(keys)} keys made {len(journal.builds)} builds")
        listed = self.clients.ends.keys() & self.guests.names.keys()
        self.violations += [f"A-18 the web lists build {build}, which is a guest's" for build in listed]
        self.violations += invariants.check(journal, {**self.clients.names, **self.guests.names})
        self.violations += invariants.ran(journal, ledger)
        if any("event_pkey" in found for found in self.violations):
            self.violations.append("A-2 two events were given one number, and the database took one of them")
        self.violations += self.clients.violations + self.sampler.violations + self.guests.violations
        self.count(journal, ledger)
        await self.clients.close()

    async def forget_the_dead(self, connection: Any) -> None:
        """A-9: the silent lose their place."""
        pace = self.cluster.pace
        until = time.monotonic() + pace["ttl"] + pace["check"] + 10
        query = "select count(*) from worker where beat_at < factory_now() - $1 * interval '1 second'"
        while await connection.fetchval(query, pace["ttl"] + pace["check"] + 1):
            if time.monotonic() > until:
                self.violations.append("A-9 silent workers are still on the list")
                return
            await asyncio.sleep(0.1)

    def count(self, journal: invariants.Journal, ledger: invariants.Ledger) -> None:
        kinds = Counter(event["kind"] for events in journal.events.values() for event in events)
        states = Counter(row["state"] for row in journal.builds.values())
        wires = [member.wire for member in (*self.cluster.workers, self.cluster.web)]
        self.figures |= {
            "builds": len(journal.builds),
            **{f"builds.{state}": count for state, count in sorted(states.items())},
            "tasks": sum(map(len, journal.tasks.values())),
            "events": sum(map(len, journal.events.values())),
            "attempts": len(ledger.runs),
            "attempts.lost": kinds["task.lease_lost"],
            "attempts.fenced": len(ledger.refused),
            "attempts.retried": kinds["task.retrying"],
            "tasks.quarantined": kinds["task.quarantined"],
            **{f"builds.{what}": count for what, count in self.deciders.done.items()},
            "builds.of_guests": len(self.guests.names),
            **{f"guests.{what}": count for what, count in sorted(self.guests.done.items())},
            "board.lines": sum(row["version"] for board in journal.boards.values() for row in board.values()),
            "letters": sum(map(len, journal.mails.values())),
            "jobs": self.chores.asked,
            "answers.lost": sum(wire.answers_lost for wire in wires),
            "followers.reconnects": self.clients.reconnects,
            "memo": len(journal.memos),
            "longest.wait.seconds": self.sampler.longest,
            **{f"faults.{kind.replace(' ', '_')}": n for kind, n in sorted(self.faults.done.items())},
            "faults": sum(self.faults.done.values()),
            "violations": len(self.violations),
        }


async def main(options: argparse.Namespace) -> int:
    again = f"--seed {options.seed} --builds {options.builds} --faults {options.faults}"
    again += f" --mutant '{options.mutant}'" if options.mutant else ""
    print(f"seed {options.seed}; the same once more: python tests/chaos/run.py {again}", flush=True)
    async with opened(
        options.seed, workers=options.workers, mutant=options.mutant, keep=options.keep
    ) as cluster:
        run = Run(options, cluster)
        await run.go()
    for figure, value in run.figures.items():
        print(f"  {figure:32s} {value:10.2f}".replace(".00", ""))
    for kind, count in Counter(found.split()[0] for found in run.violations).items():
        print(f"  {kind} violated {count} times")
    for found in run.violations[:20]:
        print(f"VIOLATION {found}")
    if options.figures:
        keep(Path(options.figures), run.figures)
    if options.keep:
        print(f"kept: {cluster.home}")
    return bool(run.violations)


def keep(path: Path, figures: dict[str, float]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")


def parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--builds", type=int, default=100)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--mutant", choices=("", *mutants.ALL), default="")
    parser.add_argument("--quick", action="store_true", help="without the calm stretch at the end")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs and ledgers")
    parser.add_argument("--figures", default="", help="where to write the figures as JSON")
    options = parser.parse_args(words)
    if options.seed is None:
        options.seed = secrets.randbelow(1_000_000)
    return options


if __name__ == "__main__":
    sys.exit(asyncio.run(main(parse(sys.argv[1:]))))
