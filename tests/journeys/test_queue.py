"""``studio queue`` on a home of its own: a dead letter is seen, retried, and seen again."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg

from factory_core.builds.ids import uuid7
from factory_core.kernel.boot import start
from factory_core.kernel.database import LOCAL_ORGANISATION
from factory_core.settings import read_sources


def test_dead_letters_are_listed_retried_and_discarded(make_studio: Any) -> None:
    studio = make_studio()
    status = json.loads(studio.run("queue", "status", "--json").stdout)
    assert [queue["name"] for queue in status["queues"]] == ["builds"]
    assert studio.run("queue", "dead").stdout == "No dead letters.\n"
    url = start(read_sources({"FACTORY_HOME": str(studio.home)})).database_url()
    identities = [str(uuid7()), str(uuid7())]

    async def bury() -> None:
        connection: Any = await asyncpg.connect(url)
        for identity in identities:
            await connection.execute(
                "insert into dead_job values ($1, $2, 'notifications', 'mail', '{}', 5, 'away', now(), now())",
                identity,
                LOCAL_ORGANISATION,
            )
        await connection.close()

    asyncio.run(bury())
    assert studio.run("queue", "retry", identities[0]).returncode == 0
    listed = studio.run("queue", "dead")
    assert identities[1] in listed.stdout
    assert identities[0] not in listed.stdout
    assert "cause: away" in listed.stdout
    assert json.loads(studio.run("queue", "discard", identities[1], "--json").stdout) == {
        "letter": identities[1],
        "done": "discarded",
    }
    again = studio.run("queue", "discard", identities[1])
    assert (again.returncode, "no dead letter" in again.stderr) == (64, True)
    rows = json.loads(studio.run("queue", "status", "--json").stdout)["queues"]
    assert [(row["name"], row["depth"], row["dead"]) for row in rows] == [
        ("builds", 0, 0),
        ("notifications", 1, 0),
    ]
