"""An agent."""

from __future__ import annotations

from factory_core.contracts.agent import Outcome, Tools, Work
from factory_core.contracts.files import Produced


class Poet:
    """Writes a poem about the product."""

    name = "good_poet"
    version = "1"

    async def run(self, work: Work, tools: Tools) -> Outcome:
        """A verse; the same for the same product."""
        await tools.log("thinking")
        text = f"{work.blueprint.project.name}, oh {work.blueprint.project.name}!\n"
        return Outcome(files=(Produced(path="POEM.md", content=text.encode()),))
