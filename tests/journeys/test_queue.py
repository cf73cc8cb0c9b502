"""The operator's commands on a home of their own: a dead letter is seen, retried, and seen again; shares are changed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from factory_core.builds.ids import uuid7
from factory_core.kernel.boot import start
from factory_core.kernel.database import LOCAL_ORGANISATION
from factory_core.settings import read_sources


@pytest.fixture(scope="module")
def studio(make_studio: Any) -> Any:
    return make_studio()


def test_dead_letters_are_listed_retried_and_discarded(studio: Any) -> None:
    status = json.loads(studio.run("queue", "status", "--json").stdout)
    assert [queue["name"] for queue in status["queues"]] == ["builds"]
    assert studio.run("queue", "dead").stdout == "No dead letters.\n"
    url = start(read_sources({"FACTORY_HOME": str(studio.home)})).database_url()
    identities = [str(uuid7()), str(uuid7())]

    async def bury() -> None:
        connection: Any = await asyncpg.connect(url)
        for identity in identities:
            await connection.execute(
                "insert into dead_job values ($1, $2, 'notifications', 'mail', '{}', 5, $3, now(), now())",
                identity,
                LOCAL_ORGANISATION,
                "away\x1b]0;owned\x07\x9b2J\nno letter",
            )
        await connection.close()

    asyncio.run(bury())
    first = studio.run("queue", "dead", "--limit", "1").stdout
    assert (identities[1] in first, identities[0] in first, "2 in all" in first) == (True, False, True)
    second = studio.run("queue", "dead", "--cursor", first.split()[-1]).stdout
    assert (identities[0] in second, second.count("cause:")) == (True, 1)
    assert studio.run("queue", "dead", "--cursor", "x").returncode == 64
    assert studio.run("queue", "retry", identities[0]).returncode == 0
    listed = studio.run("queue", "dead")
    assert identities[1] in listed.stdout
    assert identities[0] not in listed.stdout
    assert "    cause: away ]0;owned  2J no letter\n" in listed.stdout, (
        "whatever a terminal would obey is a space"
    )
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


def test_shares_are_shown_changed_and_taken(studio: Any) -> None:
    given = studio.run("shares", "set", "shop", "--weight", "3", "--max-memory", "2GiB", "--max-agents", "4")
    assert (given.returncode, given.stdout) == (
        0,
        "shop has now: weight 3, max_running 4, max_memory 2GiB\n",
    )
    whole = studio.run("shares", "set-organisation", "--max-agents", "8", "--reserved", "--json")
    assert json.loads(whole.stdout)["share"]["max_running"] == 8
    table = studio.run("shares").stdout
    assert [line.split() for line in table.splitlines() if "of" in line and "shop" in line] == [
        [
            *"\u2502",
            "shop",
            *"\u25023\u2502",
            "0",
            "of",
            "4",
            *"\u25020\u2502\u2502",
            "?",
            "of",
            "2GiB",
            "\u2502",
        ]
    ]
    beyond = studio.run("shares", "set", "shop", "--max-agents", "9")
    assert (beyond.returncode, "more than the organisation's 8" in beyond.stderr) == (64, True)
    taken = studio.run("shares", "unset", "shop", "--organisation", "local", "--json")
    assert json.loads(taken.stdout) == {
        "whose": "shop",
        "share": {"weight": 1, "max_running": None, "max_memory": None},
    }
    (ours,) = json.loads(studio.run("shares", "show", "--json").stdout)
    assert (ours["name"], ours["share"]["reserved"], ours["projects"]) == ("local", True, [])
