"""A worker of the product with one agent more, whose code does its neighbours harm. ``hostile.py [flat]``

``flat``: without groups in groups and with turns for whoever came first, as a control. Everything else is the product's.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import uvloop
from harm import BOMB, CHURN, GLUTTON, SPIN
from msgspec.structs import replace

from factory_core.builds.journal import Completion
from factory_core.builds.pieces import Pieces
from factory_core.builds.runner import BuildRunner
from factory_core.contracts.sandbox import Limits
from factory_core.kernel import work
from factory_core.kernel.boot import start
from factory_core.sandbox import cgroups
from factory_core.sandbox.turns import TakingTurns

if TYPE_CHECKING:
    from factory_core.builds.journal import Assignment
    from factory_core.contracts.sandbox import SandboxJob, SandboxResult

SECONDS = 20
SCRIPTS = {"bomb": BOMB, "churn": CHURN, "glutton": GLUTTON, "spin": SPIN}


class HostileRunner(BuildRunner):
    """Runs what the product runs, and the agent ``hostile``: the script that its params name, until its time is up."""

    async def run(self, assignment: Assignment) -> Completion:
        if assignment.agent != "hostile":
            return await super().run(assignment)
        template = next(iter(self._shop.templates.values()))
        tools = await self._shop.make_tools(assignment, template, Pieces())
        script = SCRIPTS[assignment.params["script"]]
        await tools.run(("python", "-c", script), (), limits=Limits(wall_seconds=SECONDS, cpu_seconds=600))
        return Completion()


class FirstCome(TakingTurns):
    """Whose command it is counts for nothing."""

    async def run(self, job: SandboxJob) -> SandboxResult:
        return await super().run(replace(job, shares=()))


def main() -> None:
    """Work until stopped."""
    work.BuildRunner = HostileRunner
    if "flat" in sys.argv[1:]:
        place = cgroups.find_place()
        flat = place and replace(place, nested=False)
        cgroups.find_place = lambda: flat
        work.TakingTurns = FirstCome
    uvloop.run(work.work(start()))


if __name__ == "__main__":
    main()
