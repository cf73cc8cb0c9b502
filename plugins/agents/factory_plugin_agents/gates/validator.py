"""The agent that runs one gate over all files of the project."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from factory_core.contracts.agent import Outcome, Tools, Work

from .boot import check_boot
from .mutants import check_mutants
from .style import check_style
from .trials import check_tests
from .weaknesses import check_security

__all__ = ["GATES", "Validator"]

GATES: dict[str, Callable[[Work, Tools], Awaitable[Outcome]]] = {
    "format+lint": check_style,
    "security": check_security,
    "boot": check_boot,
    "tests": check_tests,
    "mutants": check_mutants,
}


class Validator:
    """Runs the gate that the work's parameter ``gate`` names. A gate that fails is a result, not a failed task."""

    name = "validator"
    version = "9"

    async def run(self, work: Work, tools: Tools) -> Outcome:
        """The gate's result, with the findings behind it. Only an unknown gate fails the task."""
        wanted = work.params.get("gate", "")
        if wanted not in GATES:
            return Outcome(failure=f"There is no gate {wanted!r}. There are {', '.join(GATES)}.")
        if not work.inputs:
            return Outcome(
                failure=f"The gate {wanted!r} was given no files. Put its work after the integrator's."
            )
        outcome = await GATES[wanted](work, tools)
        for gate in outcome.gates:
            told = f"{gate.name}: {'passed' if gate.passed else 'failed'}, {gate.figure} (limit {gate.limit})"
            await tools.log(told, level="info" if gate.passed else "error")
        return outcome
