"""Ordinary jobs asked for while everything breaks. None may be lost; one whose worker died may run twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
from cluster import Cluster

from factory_core.builds.ids import uuid7
from factory_core.kernel.database import LOCAL_ORGANISATION
from factory_core.kernel.queue import Queue

NAME, ATTEMPTS = "chore", 50
_ASK = """
    insert into job (id, org_id, queue, name, payload, key, max_attempts, run_at, created_at)
    values ($1, $2, 'analytics', $3, jsonb_build_object('number', $4::integer), $4::text, $5, factory_now(), factory_now())
    on conflict (org_id, name, key) where key is not null do nothing"""


class Chores:
    """Who asks for them, and how many were asked for."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.asked = 0
        self.enough = False

    async def ask_until_enough(self) -> None:
        """Four a second. Whose commit was not confirmed is asked for once more, under the same key."""
        queue = Queue(self.cluster.queue_url)
        try:
            while not self.enough:
                await self._ask(self.asked)
                self.asked += 1
                await queue.ring(LOCAL_ORGANISATION, queue="analytics")
                await asyncio.sleep(0.25)
        finally:
            await queue.close()

    async def _ask(self, number: int) -> None:
        while True:
            try:
                connection = await self.cluster.connect()
                try:
                    await connection.execute(_ASK, uuid7(), LOCAL_ORGANISATION, NAME, number, ATTEMPTS)
                    return
                finally:
                    connection.terminate()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(0.1)

    async def judge(self, connection: Any, done: Callable[[], set[int]], seconds: float) -> list[str]:
        """A-15: all are done, by the rows and by the workers' own account. Waits for the last ones so long."""
        left = "select count(*) from job where name = $1 and state <> 'done'"
        try:
            async with asyncio.timeout(seconds):
                while await connection.fetchval(left, NAME):  # noqa: ASYNC110 - other processes do them
                    await asyncio.sleep(0.1)
        except TimeoutError:
            return [f"A-15 {await connection.fetchval(left, NAME)} jobs were never done"]
        kept = await connection.fetchval("select count(*) from job where name = $1", NAME)
        dead = await connection.fetchval("select count(*) from dead_job")
        found = [f"A-15 {self.asked} jobs were asked for, {kept} are kept, {dead} died"]
        missing = set(range(self.asked)) - done()
        lost = [f"A-15 jobs {sorted(missing)[:5]} are done and never ran"] if missing else []
        return (found if (kept, dead) != (self.asked, 0) else []) + lost
