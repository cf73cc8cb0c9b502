"""Gate ``boot``: the migrated service starts and answers every declared endpoint as the contract says."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from factory_core.contracts.agent import Finding, FindingLevel, GateResult, Outcome, Tools, Work
from factory_core.contracts.files import Produced
from factory_core.contracts.sandbox import Limits

from .calls import declared_calls
from .evidence import decoded, failed, inside
from .trials import SECRET

__all__ = ["check_boot"]

GATE = "boot"
LIMITS = Limits(wall_seconds=120, cpu_seconds=120)
ENVIRONMENT = {"DATABASE_URL": "sqlite:////tmp/boot.db", "SEED_DEMO": "1", **SECRET}
MOST_FINDINGS = 20


class _Answer(Struct):
    started: bool
    said: str
    wrong: list[str]


async def check_boot(work: Work, tools: Tools) -> Outcome:
    """Passed when it started and no call was answered otherwise."""
    calls = declared_calls(work.blueprint)
    limit = f"{len(calls)} of {len(calls)} calls"
    order = {"roles": [role.name for role in work.blueprint.roles], "calls": calls}
    result, _ = await tools.run(
        ("python", ".gate/serve_and_call.py"),
        (
            *work.inputs,
            inside("serve_and_call.py"),
            Produced(path=".gate/order.json", content=msgspec.json.encode(order)),
        ),
        limits=LIMITS,
        environment={"PYTHONPATH": "/work", **ENVIRONMENT},
    )
    answer = decoded(result.stdout, _Answer)
    if answer is None:
        return failed(GATE, result, limit)
    right = len(calls) - len(answer.wrong) if answer.started else 0
    gate = GateResult(
        name=GATE,
        passed=answer.started and not answer.wrong,
        figure=f"{right} of {len(calls)} calls" if answer.started else "did not start",
        limit=limit,
        detail="\n".join(answer.wrong) if answer.started else answer.said,
    )
    findings = tuple(
        Finding(level=FindingLevel.ERROR, code="boot", message=wrong)
        for wrong in answer.wrong[:MOST_FINDINGS]
    )
    return Outcome(gates=(gate,), findings=findings)
