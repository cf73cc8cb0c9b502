"""Gate ``mutants``: bugs planted in the handlers are noticed by the project's own tests."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import Struct

from factory_core.contracts.agent import Finding, FindingLevel, GateResult, Outcome, Tools, Work
from factory_core.contracts.files import Produced
from factory_core.contracts.sandbox import Limits

from .evidence import decoded, failed, inside, tail
from .mutate import Mutant, choose_mutants
from .trials import SECRET

__all__ = ["MOST_MUTANTS", "MOST_TEST_FILES", "check_mutants", "nearest_tests"]

GATE = "mutants"
MOST_MUTANTS = 40
MOST_TEST_FILES = 8
"""For one mutant at first. What they miss, the acceptance cases and the project's own tests may still find."""
LEAST_PERCENT = 80
LIMIT = f">= {LEAST_PERCENT} % killed"
NOT_JUDGED = "not judged: the tests fail without a fault, too"
LIMITS = Limits(wall_seconds=900, cpu_seconds=900)
HANDLERS = ("app/routes/", "app/actions/", "app/rules/")
SHARED = frozenset(
    {"app/auth.py", "app/bodies.py", "app/listing.py", "app/rows.py", "app/states.py", "app/stubs.py"}
)

Fate = Literal["killed", "survived", "timeout", "broken"]


class _Answer(Struct):
    clean: bool
    fates: list[Fate]


async def check_mutants(work: Work, tools: Tools) -> Outcome:
    """Passed when enough of them are noticed. Survivors are told, with the place and the change."""
    handlers = [ref for ref in work.inputs if _is_handler(ref.path)]
    contents = await asyncio.gather(*(tools.read(ref) for ref in handlers))
    sources = {ref.path: content.decode() for ref, content in zip(handlers, contents, strict=True)}
    mutants = choose_mutants(sources, most=MOST_MUTANTS, shared=SHARED)
    if not mutants:
        gate = GateResult(name=GATE, passed=True, figure="no handlers to plant a bug in", limit=LIMIT)
        return Outcome(gates=(gate,))
    tests = frozenset(ref.path for ref in work.inputs if ref.path.startswith("tests/contract/test_"))
    order = {
        "mutants": [
            {"path": each.path, "source": each.source, "tests": nearest_tests(each.path, tests, sources)}
            for each in mutants
        ]
    }
    result, _ = await tools.run(
        ("python", ".gate/mutation_runner.py"),
        (
            *work.inputs,
            inside("mutation_runner.py"),
            Produced(path=".gate/order.json", content=msgspec.json.encode(order)),
        ),
        limits=LIMITS,
        environment=SECRET,
    )
    answer = decoded(result.stdout, _Answer)
    if answer is None or (answer.clean and len(answer.fates) != len(mutants)):
        return failed(GATE, result, LIMIT)
    if not answer.clean:
        detail = f"What noticed the bugs fails without any bug, too.\n{tail(result)}"
        gate = GateResult(name=GATE, passed=False, figure=NOT_JUDGED, limit=LIMIT, detail=detail)
        return Outcome(gates=(gate,))
    return _judge(mutants, answer.fates)


def _judge(mutants: tuple[Mutant, ...], fates: list[Fate]) -> Outcome:
    killed = sum(fate in ("killed", "timeout") for fate in fates)
    missed = [mutant for mutant, fate in zip(mutants, fates, strict=True) if fate in ("survived", "broken")]
    places = [f"{each.path}:{each.line} {each.what}" for each in missed]
    gate = GateResult(
        name=GATE,
        passed=killed * 100 >= LEAST_PERCENT * len(mutants),
        figure=f"{killed} of {len(mutants)} killed ({math.floor(100 * killed / len(mutants))} %)",
        limit=LIMIT,
        detail="\n".join(places),
    )
    findings = tuple(
        Finding(
            level=FindingLevel.WARNING,
            code="mutant-survived",
            message=f"No test notices {each.what}",
            path=each.path,
            line=each.line,
        )
        for each in missed
    )
    return Outcome(gates=(gate,), findings=findings)


def nearest_tests(path: str, tests: frozenset[str], sources: Mapping[str, str]) -> list[str]:
    """The contract test of the same name; for what handlers share, some of the tests whose handlers import it, spread
    evenly: a fault in what all share shows in each of them, and a project may have hundreds."""
    mine = _contract_of(path)
    if mine in tests:
        return [mine]
    module = path.removesuffix(".py").replace("/", ".")
    users = {_contract_of(user) for user, source in sources.items() if f"from {module} import" in source}
    near = sorted(users & tests) or sorted(tests)
    step = max(1, math.ceil(len(near) / MOST_TEST_FILES))
    return near[::step] or ["tests"]


def _contract_of(path: str) -> str:
    return f"tests/contract/test_{path.rpartition('/')[2]}"


def _is_handler(path: str) -> bool:
    return path in SHARED or (path.startswith(HANDLERS) and not path.endswith("__init__.py"))
