"""The agent that splits a task that makes too many files."""

from __future__ import annotations

from msgspec.structs import replace

from factory_core.contracts.agent import Outcome, Spawn, Tools, Work
from factory_core.contracts.template import WorkSpec

__all__ = ["Decomposer", "part_of"]


class Decomposer:
    """Makes nothing itself: as many tasks as the plan says (``parts``), each with an equal share of the files."""

    name = "decomposer"
    version = "1"

    async def run(self, work: Work, tools: Tools) -> Outcome:
        """One spawned task for each part, for the agent that the work names (``for``)."""
        parts = int(work.params["parts"])
        own = {name: value for name, value in work.params.items() if name not in ("for", "parts")}
        await tools.log(f"split into {parts} parts")
        return Outcome(
            spawn=tuple(
                Spawn(
                    behaviour=self.name,
                    n=number,
                    agent=work.params["for"],
                    title=f"{work.params['work']}, part {number} of {parts}",
                    params={**own, "part": f"{number}/{parts}"},
                )
                for number in range(1, parts + 1)
            )
        )


def part_of(spec: WorkSpec, params: dict[str, str]) -> WorkSpec:
    """The work with the files of this part alone; all of them when it is not split."""
    number, _, parts = params.get("part", "1/1").partition("/")
    size, rest = divmod(len(spec.files), int(parts))
    place = int(number) - 1
    start = place * size + min(place, rest)
    return replace(spec, files=spec.files[start : start + size + (place < rest)])
