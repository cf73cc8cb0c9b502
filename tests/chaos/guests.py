"""Other organisations beside the one that the web serves: their builds run on the same workers, and they pry.

They speak to the journal itself, over the wire of the web, so that answers are lost to them as to it.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid5

import asyncpg
import meters
import plans
from cluster import Cluster
from obstore.exceptions import BaseError

from factory_core.builds.errors import BuildMissing, BuildUnready
from factory_core.builds.journal import Journal, Submission
from factory_core.builds.shares import OrganisationShare
from factory_core.builds.tools import Blobs
from factory_core.errors import FactoryError
from factory_core.kernel.database import LOCAL_ORGANISATION
from factory_plugin_storage.service import LocalStorage

WEIGHTS = {"first": 1, "second": 3}
HOME_WEIGHT = 2
"""Of the organisation at the web."""
ORGANISATIONS = {name: uuid5(LOCAL_ORGANISATION, name) for name in WEIGHTS}


class Guests:
    """What they order, what they see of it, and what they must not see of others."""

    def __init__(self, cluster: Cluster, seed: int, others: Callable[[], dict[str, str]]) -> None:
        self.cluster = cluster
        self.seed = seed
        self.others = others
        """Builds of the web's clients."""
        self.names: dict[str, str] = {}
        self.seen: dict[str, list[tuple[int, str, str | None, int | None]]] = {}
        self.whose: dict[str, str] = {}
        self.violations: list[str] = []
        self.done: Counter[str] = Counter()
        self.slots = asyncio.Semaphore(6)

    async def move_in(self, connection: Any, slots: int) -> None:
        """Make the organisations, with their shares, and a meter that counts what each is charged."""
        journal = Journal(connection)
        await journal.found(LOCAL_ORGANISATION, "local")
        await journal.shares.give(
            LOCAL_ORGANISATION, OrganisationShare(weight=HOME_WEIGHT, max_running=slots * 3 // 4)
        )
        for name, org in ORGANISATIONS.items():
            await journal.found(org, name)
            limit = slots // 4 if name == "first" else None
            await journal.shares.give(org, OrganisationShare(weight=WEIGHTS[name], max_running=limit))
        await meters.install(connection)

    async def build(self, number: int, name: str, org: str) -> None:
        """One build from its order to its last event."""
        dice = random.Random(f"guest {self.seed} {number}")
        async with self.slots:
            build = await self._order(number, name, org)
            await self._follow(build, dice)
            await self._pry(org, dice)

    async def _order(self, number: int, name: str, org: str) -> UUID:
        """Twice: one key, one build. (A-13)"""
        blobs = Blobs(LocalStorage(self.cluster.disk / "objects"))
        spec = await _stored(blobs, plans.spec(name).encode())
        order = Submission(
            org=ORGANISATIONS[org],
            idem_key=f"key-{number}",
            spec_digest="",
            params={"spec": spec, "spec_name": "spec.yaml", "template": "", "max_agents": "200"},
        )
        found = {(await self._ask(lambda journal: journal.submit(order))).build for _ in range(2)}
        build = found.pop()
        if found:
            self.violations.append(f"A-13 a guest's key {number} made {found} beside {build}")
        self.names[str(build)], self.whose[str(build)] = name, org
        return build

    async def _follow(self, build: UUID, dice: random.Random) -> None:
        """Every event once and in order (A-2), and an answer to each halt."""
        org = ORGANISATIONS[self.whose[str(build)]]
        seen = self.seen.setdefault(str(build), [])
        while not seen or seen[-1][1] != "build.ended":
            last = len(seen)
            for event in await self._ask(lambda journal: journal.events(org, build, after=last)):  # noqa: B023 - awaited here
                if event.seq != len(seen) + 1:
                    self.violations.append(f"A-2 build {build} told {event.seq} after {len(seen)}")
                seen.append((event.seq, event.kind, event.task, event.fence))
            about = [kind for _, kind, *_ in seen if kind in ("build.halted", "build.decided")]
            if about and about[-1] == "build.halted":
                await self._decide(org, build, approve=dice.random() < 0.7)
            elif dice.random() < 0.1:
                await self._pry(self.whose[str(build)], dice)
            await asyncio.sleep(dice.uniform(0.1, 0.5))

    async def _decide(self, org: UUID, build: UUID, *, approve: bool) -> None:
        try:
            if await self._ask(lambda journal: journal.control.decide(org, build, approve=approve)):
                self.done["approved" if approve else "rejected"] += 1
        except BuildUnready:
            pass  # it was decided and has gone on

    async def _pry(self, me: str, dice: random.Random) -> None:
        """Of a build of somebody else nothing is seen and nothing is moved. (A-18)"""
        foreign = sorted({*self.others(), *(build for build, org in self.whose.items() if org != me)})
        if not foreign:
            return
        org, build = ORGANISATIONS[me], UUID(dice.choice(foreign))
        looks: dict[str, Callable[[Journal], Awaitable[Any]]] = {
            "its events": lambda journal: journal.events(org, build),
            "its tasks": lambda journal: journal.tasks(org, build),
            "its results": lambda journal: journal.results(org, build),
            "its board": lambda journal: journal.boards.read(org, build),
        }
        moves: dict[str, Callable[[Journal], Awaitable[Any]]] = {
            "read": lambda journal: journal.build(org, build),
            "cancel": lambda journal: journal.cancel(org, build),
            "pause": lambda journal: journal.control.pause(org, build),
            "decide": lambda journal: journal.control.decide(org, build, approve=False),
            "retry": lambda journal: journal.control.retry(org, build),
        }
        for what, look in looks.items():
            if await self._ask(look):
                self.violations.append(f"A-18 {me} sees {what}: build {build}")
        for what, move in moves.items():
            try:
                await self._ask(move)
                self.violations.append(f"A-18 {me} may {what}: build {build}")
            except BuildMissing:
                continue
            except BuildUnready:
                self.violations.append(f"A-18 {me} is told about it when asking to {what}: build {build}")
        self.done["pried"] += 1

    async def _ask(self, call: Callable[[Journal], Awaitable[Any]]) -> Any:
        """The answer of a journal that is there; who got none asks again."""
        address = self.cluster.database_for(self.cluster.web)
        while True:
            try:
                connection = await asyncpg.connect(address, timeout=5)
                try:
                    return await asyncio.wait_for(call(Journal(connection)), 5)
                finally:
                    connection.terminate()
            except (
                OSError,
                TimeoutError,
                asyncpg.PostgresConnectionError,
                asyncpg.OperatorInterventionError,
                asyncpg.InterfaceError,
            ):
                await asyncio.sleep(0.1)


async def _stored(blobs: Blobs, content: bytes) -> str:
    while True:
        try:
            return await blobs.put(content)
        except (OSError, FactoryError, BaseError):  # the disk is full for a while
            await asyncio.sleep(0.1)
