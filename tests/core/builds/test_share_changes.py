"""Shares that change while builds run: what runs is left alone, the next claim follows."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from factory_core.builds.errors import OrganisationMissing, ProjectShareMissing, ShareUnfit
from factory_core.builds.holdings import holding_of, holding_of_project, holdings, largest_holdings
from factory_core.builds.ids import uuid7
from factory_core.builds.shares import (
    MOST_PROJECTS,
    OrganisationChange,
    OrganisationShare,
    ProjectChange,
    ProjectShare,
)

pytestmark = pytest.mark.anyio
Floor = Any
"""conftest.py has it."""


async def test_weights_of_projects_count_from_the_next_claim(floor: Floor) -> None:
    org = await floor.organisation("a")
    builds = {name: await floor.flood(org, 200, project=name) for name in ("one", "other")}
    shares = floor.journal.shares
    await shares.give_project(org, "one", ProjectShare())
    worker = await floor.hire()
    running = floor.running[worker]

    def held() -> dict[str, int]:
        found = Counter(attempt.build for attempt in running)
        return {name: found[build] for name, build in builds.items()}

    await floor.turn(worker, slots=20)
    assert held() == {"one": 10, "other": 10}
    before = {attempt.key for attempt in running}
    await shares.change_project(org, "other", ProjectChange(weight=4))
    await floor.turn(worker, slots=30)
    assert before <= {attempt.key for attempt in running}, "what runs is left alone"
    assert held() == {"one": 10, "other": 20}
    await floor.turn(worker, slots=30, ends=30)
    assert held() == {"one": 6, "other": 24}
    await shares.take_from_project(org, "other")
    await floor.turn(worker, slots=30, ends=30)
    assert held() == {"one": 15, "other": 15}


async def test_weights_of_organisations_count_from_the_next_claim(floor: Floor) -> None:
    for name in ("one", "other"):
        await floor.flood(await floor.organisation(name), 900)
    worker = await floor.hire()

    async def part() -> float:
        floor.started.clear()
        for _ in range(40):
            await floor.turn(worker, slots=10, ends=10)
            await floor.wait(1.0)
        return floor.started["other"] / floor.started.total()

    assert await part() == pytest.approx(0.5, abs=0.05)
    other = next(org for org, name in floor.names.items() if name == "other")
    await floor.journal.shares.change(other, OrganisationChange(weight=3))
    # What it used before now weighs a third, so it catches up first; then it has its part.
    await part()
    assert await part() == pytest.approx(0.75, abs=0.05)


async def test_a_lower_limit_ends_nothing_and_starts_nothing_until_there_is_room(floor: Floor) -> None:
    org = await floor.organisation("a")
    await floor.flood(org, 100)
    worker = await floor.hire()
    await floor.turn(worker, slots=10)
    assert await floor.journal.shares.change(org, OrganisationChange(max_running=4)) == OrganisationShare(
        max_running=4
    )
    assert await floor.turn(worker, slots=20) == []
    assert (await holding_of(floor.connection, org)).holds.running == 10
    assert await floor.turn(worker, slots=20, ends=6) == []
    assert len(await floor.turn(worker, slots=20, ends=1)) == 1
    await floor.journal.shares.change(org, OrganisationChange(max_running=None))
    assert len(await floor.turn(worker, slots=20)) == 16


async def test_two_changes_at_once_keep_each_other(floor: Floor) -> None:
    """Each names its own members only, so nobody writes back what another has just changed."""
    org = await floor.organisation("a", weight=2, max_builds=5)
    shares = floor.journal.shares
    await shares.change(org, OrganisationChange(weight=9))
    await shares.change(org, OrganisationChange(max_running=3, max_builds=None))
    assert await shares.of(org) == OrganisationShare(weight=9, max_running=3)
    await shares.change_project(org, "p", ProjectChange(weight=9))
    await shares.change_project(org, "p", ProjectChange(max_running=3))
    assert await shares.of_projects(org) == {"p": ProjectShare(weight=9, max_running=3)}


async def test_what_is_not_there_or_too_much_is_refused(floor: Floor) -> None:
    org, shares = await floor.organisation("a", max_running=3), floor.journal.shares
    for call in (
        shares.change(uuid7(), OrganisationChange(weight=2)),
        shares.change_project(uuid7(), "p", ProjectChange(weight=2)),
        shares.find("nobody"),
        holding_of(floor.connection, uuid7()),
    ):
        with pytest.raises(OrganisationMissing):
            await call
    with pytest.raises(ProjectShareMissing):
        await shares.take_from_project(org, "p")
    with pytest.raises(ShareUnfit, match="more than the organisation's 3"):
        await shares.change_project(org, "p", ProjectChange(max_running=4))
    for name in ("", "No Slug", "-x", "x" * 201, "a\n"):
        with pytest.raises(ShareUnfit, match="no slug"):
            await shares.change_project(org, name, ProjectChange(weight=2))
    await floor.connection.execute(
        "insert into project_share (org_id, project) select $1, 'p' || n from generate_series(1, $2::integer) n",
        org,
        MOST_PROJECTS,
    )
    await shares.change_project(org, "p1", ProjectChange(weight=2))
    with pytest.raises(ShareUnfit, match="one more than"):
        await shares.change_project(org, "q", ProjectChange(weight=2))


async def test_an_organisation_is_found_by_id_or_by_a_name_that_is_its_alone(floor: Floor) -> None:
    one, two, three = [await floor.organisation(name) for name in ("one", "twin", "twin")]
    shares = floor.journal.shares
    assert [await shares.find(named) for named in ("one", str(one), str(two))] == [one, one, two]
    assert three != two
    with pytest.raises(OrganisationMissing):
        await shares.find("twin")


async def test_holdings_are_counted_from_what_is_open(floor: Floor) -> None:
    busy, idle = await floor.organisation("busy", weight=2), await floor.organisation("idle")
    await floor.flood(busy, 5, project="p")
    await floor.flood(busy, 5, project="q")
    await floor.journal.shares.give_project(busy, "waiting", ProjectShare(weight=3))
    worker = await floor.hire()
    await floor.turn(worker, slots=3)
    first, second = await holdings(floor.connection)
    assert (first.organisation, second.organisation) == (busy, idle)
    assert (first.share.weight, first.holds.running, first.holds.ready, first.holds.builds) == (2, 3, 7, 2)
    assert [each.project for each in first.projects] == ["p", "q", "waiting"]
    assert [each.given for each in first.projects] == [False, False, True]
    assert (second.holds.builds, second.projects) == (0, ())
    (few,) = await holdings(floor.connection, busy, projects=2)
    assert (len(few.projects), few.more_projects) == (2, 1)
    assert (await holding_of_project(floor.connection, busy, "waiting")).share.weight == 3
    assert (await holding_of_project(floor.connection, busy, "unheard")).given is False
    assert len(await largest_holdings(floor.connection)) == 2
    largest = await largest_holdings(floor.connection, most=1)
    assert list(largest) == [(str(busy), "p"), ("other", "")]
    assert sum(each.running for each in largest.values()) == 3
    assert sum(each.ready for each in largest.values()) == 7
    await floor.turn(worker, slots=0, ends=3)
    for build in [row.id for row in await floor.journal.builds(busy)]:
        await floor.journal.cancel(busy, build)
    (over,) = await holdings(floor.connection, busy)
    assert (over.holds.running, over.holds.ready, over.holds.builds) == (0, 0, 0)
    assert [each.project for each in over.projects] == ["waiting"]
