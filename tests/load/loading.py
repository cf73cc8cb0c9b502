"""What the measurements of the engine share: building what to load, loading it, waiting for its end."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Completion, NewTask, Report, Submission
from factory_migrations.core.scripts import JOURNAL

HERE = Path(__file__).parent


def flat(count, **facts):
    """A plan of ``count`` tasks that wait for nothing, without edges."""
    return tuple(NewTask(id=f"t{n}", **{"agent": "noop", **facts}) for n in range(count)), ()


async def fresh(url, name):
    """An empty database of that name on the same server."""
    connection = await asyncpg.connect(url)
    await connection.execute(f'drop database if exists "{name}" with (force)')
    await connection.execute(f'create database "{name}"')
    await connection.close()
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def prepare(url):
    """The journal's tables and functions."""
    connection = await asyncpg.connect(url)
    for script in JOURNAL:
        await connection.execute(script.read_text())
    await connection.close()


async def load(journal, connection, plans, org, **facts):
    """Builds with these plans, planned and committed at once."""
    planner, tick, builds = uuid7(), 0, []
    async with connection.transaction():
        await journal.enlist(planner, "loader", 1000)
        for tasks, edges in plans:
            order = Submission(org=org, idem_key=str(uuid7()), spec_digest="", max_agents=100_000, **facts)
            build = (await journal.submit(order)).build
            builds.append(build)
            started = ()
            while not started:  # somebody else may be counting what the organisation runs
                tick += 1
                started = (await journal.step(planner, tick, want=1, scan=False, offers=[build])).started
            report = Report.of(started[0], Completion(tasks=tasks, edges=edges))
            tick += 1
            await journal.step(planner, tick, [report], want=0, scan=False)
        await journal.leave(planner)
    return builds


async def drained(connection, builds):
    """Wait for the end of the builds."""
    query = "select count(*) from build where id = any ($1) and state <> 'passed'"
    while await connection.fetchval(query, builds):  # noqa: ASYNC110 - the end is a fact of the database
        await asyncio.sleep(0.002)
