"""Looks at the journal while it is being broken: what must hold at every moment, not only in the end."""

from __future__ import annotations

import asyncio
import time

import asyncpg
from cluster import Cluster

LONGEST_WAIT = 60.0
"""Seconds. An organisation pays for slots that its lost tasks held: it waits until the others have had as much for their
weight, up to 27 s on a machine that has other work, and less than 10 s else."""
_OVER = """
    select w.name, w.slots, count(*) as held from task t join worker w on w.id = t.worker where t.state = 'running'
    group by w.id having count(*) > w.slots"""
_CAPPED = """
    select o.name, o.max_running as cap, count(*) as held from task t join organisation o on o.id = t.org_id
    where t.state = 'running' group by o.id having count(*) > o.max_running"""
_READY = "select id, next_seq from build where open and ready > 0 and not stop"
_WHY = """
    with held as (
        select org_id, count(*) as n, sum(extract(epoch from now() - started_at)) as seconds from task
        where state = 'running' group by org_id)
    select b.state, b.ready, b.max_running, o.id = b.org_id as own, o.weight, o.max_running as most, o.vt,
        (select sum(u.vt) from usage u where u.org_id = o.id) as used, held.n as running, held.seconds,
        (select count(*) from build x where x.org_id = o.id and x.open and x.ready > 0 and not x.stop) as waiting
    from build b cross join organisation o left join held on held.org_id = o.id where b.id = $1 order by own desc"""
"""What may have kept a build from its turn: its own organisation first, then the others."""


class Sampler:
    """A-9 (nobody holds more than his slots) and A-14 (who has ready work gets some in bounded time)."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.violations: list[str] = []
        self.longest = 0.0
        self.others = 0
        """Builds that were not ordered by clients."""
        self._since: dict[object, tuple[int, float]] = {}

    async def watch(self) -> None:
        """For ever; without a database there is nothing to see and no time passes."""
        while True:
            try:
                connection = await self.cluster.connect()
                try:
                    while True:
                        await self._look(connection)
                        await asyncio.sleep(0.25)
                finally:
                    connection.terminate()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                self._since.clear()
                await asyncio.sleep(0.1)

    async def _look(self, connection: asyncpg.Connection) -> None:
        for row in await connection.fetch(_OVER):
            self.violations.append(f"A-9 {row['name']} holds {row['held']} tasks with {row['slots']} slots")
        for row in await connection.fetch(_CAPPED):
            self.violations.append(f"A-9 {row['name']} runs {row['held']} tasks and may run {row['cap']}")
        now = time.monotonic()
        before, self._since = self._since, {}
        for build, seq in await connection.fetch(_READY):
            known = before.get(build)
            self._since[build] = known if known and known[0] == seq else (seq, now)
            waited = now - self._since[build][1]
            if waited > LONGEST_WAIT >= self.longest:
                facts = [dict(row) for row in await connection.fetch(_WHY, build)]
                self.violations.append(
                    f"A-14 build {build} has had ready work for {waited:.0f} s and none started: {facts}"
                )
            self.longest = max(self.longest, waited)
