"""Gate ``mutants``: bugs planted in the handlers are noticed by the project's own tests.

Of the tests, those are run that the gate ``tests`` saw run the statement with the bug: no other can notice it, unless the
statement runs when the application is imported, for then every test may. How a bug fares with one contract test follows
from the bug and the test's reach, and is remembered under these.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Literal, NamedTuple

import msgspec
from msgspec import Struct

from factory_core.contracts.agent import Finding, FindingLevel, GateResult, Outcome, Tools, Work
from factory_core.contracts.files import Produced
from factory_core.contracts.sandbox import Limits, SandboxResult

from .evidence import decoded, failed, inside, tail
from .mutate import Mutant, choose_mutants
from .ran import Ran
from .reach import reaches
from .trials import SECRET

__all__ = ["MOST_MUTANTS", "MOST_TEST_FILES", "check_mutants", "known_fate", "nearest_tests"]

GATE = "mutants"
MOST_MUTANTS = 40
MOST_TEST_FILES = 8
"""For one mutant at first. What they miss, the acceptance cases and the project's own tests may still find."""
CONTRACTS = "tests/contract/test_"
STORIES = ["tests", "--ignore=tests/contract"]
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
    nearest: list[list[Fate]]
    """With each of the tests asked first, as far as it went."""


class _Group(Struct, frozen=True):
    """Tests that are run together: all in these files and folders, or only some of them."""

    arguments: list[str]
    only: list[str] | None


class _Trial(Struct, frozen=True, kw_only=True):
    """A bug, the files of tests that may notice it first, the keys of those whose verdict can be remembered, the tests
    that are asked last, and the key of what these say together; empty when that cannot be remembered."""

    mutant: Mutant
    nearest: dict[str, _Group]
    keys: dict[str, str]
    stories: _Group
    last_key: str

    def known(self, facts: Mapping[str, Fate]) -> tuple[Fate | None, list[str]]:
        """The fate, where the facts tell it, and else which of the files asked first are still to be asked, in order. From
        the first on that was not seen to be green without a bug, nothing counts as known: asked, it may prove nothing."""
        green = [*takewhile(self.keys.__contains__, self.nearest)]
        fates: dict[str, Fate | None] = dict.fromkeys(self.nearest)
        fates.update((test, facts.get(self.keys[test])) for test in green)
        fate, unknown = known_fate([*fates.values()], facts.get(self.last_key))
        return fate, [[*fates][number] for number in unknown]


class _Asked(NamedTuple):
    """A bug to be tried, and the files that are asked about it first."""

    trial: _Trial
    first: list[str]


async def check_mutants(work: Work, tools: Tools) -> Outcome:
    """Passed when enough of them are noticed. Survivors are told, with the place and the change."""
    handlers = [ref for ref in work.inputs if _is_handler(ref.path)]
    contents = await asyncio.gather(*(tools.read(ref) for ref in handlers))
    sources = {ref.path: content.decode() for ref, content in zip(handlers, contents, strict=True)}
    mutants = choose_mutants(sources, most=MOST_MUTANTS, shared=SHARED)
    if not mutants:
        gate = GateResult(name=GATE, passed=True, figure="no handlers to plant a bug in", limit=LIMIT)
        return Outcome(gates=(gate,))
    trials = await _trials(work, tools, mutants, sources)
    keys = {key for trial in trials for key in (*trial.keys.values(), trial.last_key) if key}
    facts = await tools.recall(keys)
    known = [trial.known(facts) for trial in trials]
    unknown = [number for number, (fate, _) in enumerate(known) if fate is None]
    fates: list[Fate] = [fate or "broken" for fate, _ in known]
    if unknown:
        missing = [_Asked(trials[number], known[number][1]) for number in unknown]
        result, answer = await _run(work, tools, missing)
        if answer is None or (answer.clean and len(answer.fates) != len(unknown)):
            return failed(GATE, result, LIMIT)
        if not answer.clean:
            detail = f"What noticed the bugs fails without any bug, too.\n{tail(result)}"
            gate = GateResult(name=GATE, passed=False, figure=NOT_JUDGED, limit=LIMIT, detail=detail)
            return Outcome(gates=(gate,))
        await tools.remember(dict(_learnt(missing, answer)))
        for number, fate in zip(unknown, answer.fates, strict=True):
            fates[number] = fate
    return _judge(mutants, fates)


async def _trials(
    work: Work, tools: Tools, mutants: Sequence[Mutant], sources: Mapping[str, str]
) -> list[_Trial]:
    tests = frozenset(ref.path for ref in work.inputs if ref.path.startswith(CONTRACTS))
    reach = await reaches(work, tools)
    alone = {test for data in work.upstream.values() for test in data.get("alone", ())}
    ran = {
        test: msgspec.convert(told, Ran)
        for data in work.upstream.values()
        for test, told in data.get("ran", {}).items()
    }
    imported = {
        path: lines for data in work.upstream.values() for path, lines in data.get("imported", {}).items()
    }
    trials: list[_Trial] = []
    for mutant in mutants:
        known = {} if _runs_at_import(mutant, imported) else ran
        # What reaches little is quick, and remains known when other parts change.
        near = sorted(
            nearest_tests(mutant.path, tests, sources),
            key=lambda test: len(reach[test].files) if test in reach else math.inf,
        )
        within = {
            test: reach[test].digest for test in alone & reach.keys() if mutant.path in reach[test].files
        }
        stories = _stories(mutant, known)
        trials.append(
            _Trial(
                mutant=mutant,
                nearest={test: _Group([test], _that_ran(mutant, known.get(test))) for test in near},
                keys={test: _key(mutant, [within[test]]) for test in near if test in within},
                stories=stories,
                last_key=_key(mutant, [within[test] for test in stories.arguments])
                if within.keys() >= set(stories.arguments)
                else "",
            )
        )
    return trials


def _key(mutant: Mutant, digests: Sequence[str]) -> str:
    """Of what the tests with these reaches say to the bug."""
    bug = hashlib.sha256(mutant.source.encode()).hexdigest()
    return " ".join(["mutant", mutant.path, bug, *digests])


def _runs_at_import(mutant: Mutant, imported: Mapping[str, list[int]]) -> bool:
    first, last = mutant.runs
    return any(first <= line <= last for line in imported.get(mutant.path, ()))


def _that_ran(mutant: Mutant, ran: Ran | None) -> list[str] | None:
    return None if ran is None else ran.those_that_ran(mutant.path, mutant.runs, near=mutant.function)


def _stories(mutant: Mutant, ran: Mapping[str, Ran]) -> _Group:
    """All that is no contract test: the contracts of other entities do not look where the bug is."""
    if not ran:
        return _Group(STORIES, None)
    found = {test: _that_ran(mutant, told) for test, told in ran.items() if not test.startswith(CONTRACTS)}
    return _Group(
        [test for test, nodes in found.items() if nodes],
        [node for nodes in found.values() for node in nodes or ()],
    )


async def _run(work: Work, tools: Tools, missing: Sequence[_Asked]) -> tuple[SandboxResult, _Answer | None]:
    order = {
        "mutants": [
            {
                "path": trial.mutant.path,
                "source": trial.mutant.source,
                "nearest": [trial.nearest[test] for test in first],
                "stories": trial.stories,
            }
            for trial, first in missing
        ]
    }
    result, _ = await tools.run(
        ("python", ".gate/mutation_runner.py"),
        (
            *work.inputs,
            inside("mutation_runner.py"),
            inside("warm.py"),
            Produced(path=".gate/order.json", content=msgspec.json.encode(order)),
        ),
        limits=LIMITS,
        environment=SECRET,
    )
    return result, decoded(result.stdout, _Answer)


def _learnt(missing: Sequence[_Asked], answer: _Answer) -> Iterator[tuple[str, Fate]]:
    """What was seen of single tests, and of those asked last. A run that was ended from outside proves nothing for other
    builds."""
    for (trial, first), nearest, last in zip(missing, answer.nearest, answer.fates, strict=True):
        seen = [*zip(map(trial.keys.get, first), nearest, strict=False)]
        if nearest == ["survived"] * len(first):
            seen.append((trial.last_key, last))
        for key, fate in seen:
            if key and fate in ("killed", "survived"):
                yield key, fate


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


def known_fate(nearest: Sequence[Fate | None], last: Fate | None) -> tuple[Fate | None, list[int]]:
    """The fate, where it follows from what is known of the tests asked first and last; else which of the first are still to
    be asked. One that notices the bug is enough, whatever the others would say."""
    if "killed" in nearest:
        return "killed", []
    unknown = [number for number, fate in enumerate(nearest) if fate != "survived"]
    return (None, unknown) if unknown else (last, [])


def nearest_tests(path: str, tests: frozenset[str], sources: Mapping[str, str]) -> list[str]:
    """The contract test of the same name; for what handlers share, some of the tests whose handlers import it: a fault in
    what all share shows in each of them, and a project may have hundreds. They are drawn by their names, so that one more
    handler that imports it changes one of them at most, and what the others said remains known."""
    mine = _contract_of(path)
    if mine in tests:
        return [mine]
    module = path.removesuffix(".py").replace("/", ".")
    users = {_contract_of(user) for user, source in sources.items() if f"from {module} import" in source}
    near = sorted(users & tests or tests, key=lambda test: hashlib.sha256(f"{path} {test}".encode()).digest())
    return near[:MOST_TEST_FILES] or ["tests"]


def _contract_of(path: str) -> str:
    return f"{CONTRACTS}{path.rpartition('/')[2]}"


def _is_handler(path: str) -> bool:
    return path in SHARED or (path.startswith(HANDLERS) and not path.endswith("__init__.py"))
