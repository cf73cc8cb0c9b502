"""What workers count of their hosts: it adds up over processes and minutes, grows old, and is its organisation's alone."""

from __future__ import annotations

from typing import Any

import pytest

from factory_core.builds.holdings import holding_of, holdings, largest_holdings
from factory_core.builds.ids import uuid7

pytestmark = pytest.mark.anyio
Floor = Any
"""conftest.py has it."""


async def test_processes_and_minutes_add_up_and_grow_old(floor: Floor) -> None:
    org, shares = await floor.organisation("a"), floor.journal.shares
    one, other = uuid7(), uuid7()

    async def used() -> tuple[Any, ...]:
        holds = (await holding_of(floor.connection, org)).holds
        return holds.processor_seconds, holds.memory

    assert await used() == (None, None)
    await shares.count_use(one, {(org, "p"): (1.0, 100), (org, "q"): (2.0, 10)})
    await shares.count_use(one, {(org, "p"): (0.5, 70)})
    await shares.count_use(other, {(org, "p"): (4.0, 1)})
    assert await used() == (7.5, 81)
    await floor.wait(60.0)
    await shares.count_use(one, {(org, "p"): (1.0, 30)})
    assert await used() == (8.5, 30), "of two minutes the later one's memory; who is silent holds nothing"
    await floor.wait(16.0)
    assert await used() == (8.5, 0)
    await floor.wait(230.0)
    assert await used() == (1.0, 0), "the first minute is over five minutes ago"
    await floor.wait(60.0)
    assert await used() == (None, None)
    count = "select count(*) from host_use"
    assert await floor.connection.fetchval("select journal.forget(0)") == 0
    assert await floor.connection.fetchval(count) == 4
    await floor.wait(600.0)
    assert await floor.connection.fetchval("select journal.forget(0)") == 4
    assert await floor.connection.fetchval(count) == 0


async def test_an_organisation_sees_its_own_and_one_that_is_gone_is_left_out(floor: Floor) -> None:
    ours, theirs = await floor.organisation("ours"), await floor.organisation("theirs")
    await floor.journal.shares.count_use(
        uuid7(), {(ours, "p"): (1.0, 1), (theirs, "p"): (2.0, 2), (uuid7(), "p"): (4.0, 4)}
    )
    assert {each.name: each.holds.memory for each in await holdings(floor.connection)} == {
        "ours": 1,
        "theirs": 2,
    }
    assert sum(each.memory or 0 for each in (await largest_holdings(floor.connection)).values()) == 3
    async with floor.connection.transaction():
        await floor.connection.execute("set local role factory_tenant")
        await floor.connection.execute("select set_config('factory.org', $1, true)", str(ours))
        (seen,) = await holdings(floor.connection)
        assert (seen.name, seen.holds.processor_seconds) == ("ours", 1.0)
        assert await floor.connection.fetchval("select count(*) from host_use") == 1


async def test_the_rest_of_the_largest_is_added_up(floor: Floor) -> None:
    org = await floor.organisation("a")
    await floor.journal.shares.count_use(uuid7(), {(org, f"p{n}"): (float(n), n) for n in range(1, 6)})
    largest = await largest_holdings(floor.connection, most=2)
    assert {name: holds.processor_seconds for name, holds in largest.items()} == {
        (str(org), "p5"): 5.0,
        (str(org), "p4"): 4.0,
        ("other", ""): 6.0,
    }
