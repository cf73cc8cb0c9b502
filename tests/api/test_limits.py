"""Limits that a specification sets: they reach the build, are kept, and are told of."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import asyncpg
import httpx
import pytest
from msgspec.structs import replace

from factory_core.builds.errors import BudgetTooSmall
from factory_core.builds.journal import Journal
from factory_core.builds.service import BuildOrder, BuildService
from factory_core.builds.tools import Blobs
from factory_core.kernel.database import LOCAL_ORGANISATION
from factory_core.kernel.office import installed_templates
from factory_core.planning import StudioPlanner

pytestmark = pytest.mark.anyio
SPEC = "project: {name: Taskboard}\nentities:\n  Card: {title: text(1..200)}\n"
LIMITED = SPEC + "constraints: {max_agents: 33, max_build_time: 10 minutes, budget: 5 USD}\n"


async def test_the_limits_of_a_specification_are_those_of_its_build(order: Any, studio: Any) -> None:
    view = await order(spec=LIMITED)
    began, deadline = (datetime.fromisoformat(view[name]) for name in ("created_at", "deadline_at"))
    assert (deadline - began).total_seconds() == 600
    assert view["budget_nano_usd"] == 5_000_000_000
    free = await order()
    assert (free["deadline_at"], free["budget_nano_usd"]) == (None, None)
    connection: Any = await asyncpg.connect(studio.database_url())
    rows = await connection.fetch("select max_agents from build order by id")
    await connection.close()
    assert [row["max_agents"] for row in rows] == [33, 200]


async def test_a_plan_that_needs_more_agents_is_refused_with_how_many(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/builds", json={"spec": SPEC + "constraints: {max_agents: 2}\n"})
    assert answer.status_code == 422
    assert "Set constraints.max_agents to" in answer.json()["detail"]


class Dear:
    """Plans as the studio does, and asks for money."""

    def __init__(self, planner: StudioPlanner, nano_usd: int) -> None:
        self._planner = planner
        self._nano_usd = nano_usd

    def plan(self, *facts: Any, **more: Any) -> Any:
        made = self._planner.plan(*facts, **more)
        return replace(made, quote=replace(made.quote, nano_usd=self._nano_usd))


async def test_a_build_quoted_over_its_budget_is_not_started(studio: Any) -> None:
    connection: Any = await asyncpg.connect(studio.database_url())
    journal, storage, templates = Journal(connection), studio.storage(), installed_templates(studio)
    await journal.found(LOCAL_ORGANISATION, "ours")

    def dear(nano_usd: int) -> BuildService:
        planner = Dear(StudioPlanner(studio.planners()), nano_usd)
        return BuildService(journal, Blobs(storage), storage, templates, planner)

    with pytest.raises(BudgetTooSmall, match=r"its budget is \$5.0000. Raise constraints.budget"):
        await dear(5_000_000_001).start(LOCAL_ORGANISATION, BuildOrder(spec=LIMITED.encode()))
    assert await journal.builds(LOCAL_ORGANISATION) == ()
    started = await dear(5_000_000_000).start(LOCAL_ORGANISATION, BuildOrder(spec=LIMITED.encode()))
    assert started.quote.nano_usd == 5_000_000_000
    await connection.close()
