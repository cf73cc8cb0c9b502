"""What the spec's behaviours add while a build runs: real journal and runner, agents that do as the test says."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from factory_core.contracts.agent import Outcome, Spawn, Work
from factory_core.contracts.template import TemplateFile, WorkSpec

pytestmark = pytest.mark.anyio

MAKING = runpy.run_path(str(Path(__file__).with_name("making.py")))
WORKS, file, gate = MAKING["WORKS"], MAKING["file"], MAKING["gate"]
BROKEN, FIXED, BETTER, WORSE = (MAKING[name] for name in ("BROKEN", "FIXED", "BETTER", "WORSE"))
ARMY = WorkSpec(name="probes", agent="tester", each="entity", stage="test", on="integration")


FAILING = "on_failure: spawn_debugger_and_recover"
CLOSE = "gate-tests"


async def test_nothing_is_added_unless_the_spec_asks(build: Any) -> None:
    ended = await build("", debugger=lambda w, c: file(FIXED))
    assert (ended.state, ended.added) == ("failed", {})


async def test_on_failure_a_debugger_corrects_and_all_checks_run_again(build: Any) -> None:
    ended = await build(FAILING, debugger=lambda w, c: file(FIXED))
    assert ended.state == "passed"
    assert ended.added == {f"{CLOSE}/{name}": "done" for name in ("debugger/1", "verify/1", "verify/2")}
    assert [(row["name"], row["passed"]) for row in ended.report["gates"]] == [
        ("lint", True),
        ("tests", True),
    ]
    assert [row["path"] for row in ended.report["files"]] == ["app/x.py", "spec/p.yaml"]
    (round_one,) = ended.said("verification-round")
    assert round_one == "Round 1 of verification failed: gate lint: bug; gate tests: bug."
    told = msgspec.json.decode(ended.agents["debugger"].seen[0].params["failures"])
    assert [(one["gate"], one["findings"][0][:3]) for one in told] == [
        ("lint", ["F1", "app/x.py", 3]),
        ("tests", ["F1", "app/x.py", 3]),
    ]


async def test_two_tries_and_then_an_honest_failure(build: Any) -> None:
    ended = await build(FAILING, debugger=lambda w, c: file(BROKEN + b"" if c == BROKEN else BROKEN))
    first, second = f"{CLOSE}/debugger/1", f"{CLOSE}/verify/2/debugger/1"
    assert [name for name in ended.added if "debugger" in name.rsplit("/", 2)[1]] == [first, second]
    assert ended.state == "failed"
    assert [row["passed"] for row in ended.report["gates"]] == [False, False]


async def test_the_second_try_sees_what_the_first_changed(build: Any) -> None:
    def correct(work: Work, code: bytes) -> Outcome:
        return file(WORSE if code == BROKEN else FIXED)

    ended = await build(FAILING, debugger=correct)
    assert ended.state == "passed"
    assert len(ended.said("verification-round")) == 2


async def test_a_debugger_that_knows_nothing_ends_the_build_with_its_reason(build: Any) -> None:
    ended = await build(FAILING, debugger=lambda w, c: Outcome(failure="No known correction fits"))
    assert ended.state == "failed"
    assert [row["passed"] for row in ended.report["gates"]] == [False, False], "what the checks said is kept"
    reasons = {row["task"]: row["reason"] for row in ended.report["failures"]}
    assert reasons[f"{CLOSE}/debugger/1"] == "No known correction fits"


CODE = (
    msgspec.structs.replace(WORKS[0], team="core", files=(TemplateFile(source="s", path="x"),)),
    *WORKS[1:],
)


def branch(work: Work, code: bytes) -> Outcome:
    """The gate of a track."""
    return (
        gate(msgspec.structs.replace(work, params={"gate": "lint"}), code)
        if "track" in work.params
        else Outcome()
    )


async def test_a_track_that_fails_its_gates_is_corrected_and_merged(build: Any) -> None:
    ended = await build(FAILING, works=CODE, integrator=branch, debugger=lambda w, c: file(FIXED))
    assert ended.state == "passed"
    assert ended.added == {"merge/core/debugger/1": "done", "merge/core/retry/1": "done"}
    told = msgspec.json.decode(ended.agents["debugger"].seen[0].params["failures"])
    assert [(one["gate"], one["findings"][0][:3]) for one in told] == [("lint", ["F1", "app/x.py", 3])]
    (track,) = ended.report["tracks"]
    assert (track["merged"], [row["passed"] for row in track["gates"]]) == (True, [True, True])
    assert [step["task"] for step in track["steps"]] == ["code", "merge/core/debugger/1"]
    assert ended.said("merge-tried-again") == ["The track core was not merged at first: gate lint: bug."]
    assert not ended.said("F1"), "what is corrected is no finding any more"
    assert [row["name"] for row in ended.report["gates"]] == ["lint", "tests"]


async def test_a_track_that_stays_red_is_tried_twice_more_and_stays_out(build: Any) -> None:
    ended = await build(FAILING, works=CODE, integrator=branch, debugger=lambda w, c: file(BROKEN))
    assert ended.state == "failed"
    assert [name for name in ended.added if name.endswith("/retry/1")] == [
        "merge/core/retry/1",
        "merge/core/retry/1/retry/1",
    ]
    (track,) = ended.report["tracks"]
    assert not track["merged"]
    assert {row["task"] for row in ended.report["failures"]} >= {"merge/core/retry/1/retry/1"}


async def test_without_the_wish_a_red_track_fails_the_build(build: Any) -> None:
    ended = await build("", works=CODE, integrator=branch, debugger=lambda w, c: file(FIXED))
    assert (ended.state, ended.added) == ("failed", {})


async def test_an_agent_that_fails_by_verdict_is_tried_again_after_the_debugger(build: Any) -> None:
    tries: list[str] = []

    def builder(work: Work, code: bytes) -> Outcome:
        tries.append(work.task)
        return Outcome(failure="it took longer than it may") if len(tries) == 1 else file(FIXED)

    ended = await build(FAILING, builder=builder, debugger=lambda w, c: Outcome())
    assert tries == ["code", "code/retry/1"]
    assert (ended.state, set(ended.added)) == ("passed", {"code/debugger/1", "code/retry/1"})
    assert ended.report["files"][0]["producer"] == "code/retry/1"


async def test_an_agent_that_always_fails_stops_after_two_more_tries(build: Any) -> None:
    ended = await build(
        FAILING, builder=lambda w, c: Outcome(failure="never"), debugger=lambda w, c: Outcome()
    )
    assert ended.state == "failed"
    assert [n for n in ended.added if n.split("/")[-2] == "retry"] == ["code/retry/1", "code/retry/1/retry/1"]
    assert ended.tasks["code/retry/1/retry/1"].reason == "never"


BETTERING = "on_success: spawn_optimizer_and_enhance"


def improved(content: bytes, before: int = 2, after: int = 1) -> Outcome:
    """As an optimizer tells what became less."""
    return replace(file(content), measures={"faults": (before, after)})


async def test_on_success_what_the_optimizer_improves_is_checked_again_and_delivered(build: Any) -> None:
    ended = await build(BETTERING, builder=lambda w, c: file(FIXED), optimizer=lambda w, c: improved(BETTER))
    assert ended.state == "passed"
    assert set(ended.added) == {f"{CLOSE}/{name}" for name in ("optimizer/1", "confirm/1", "confirm/2")}
    assert [row["figure"] for row in ended.report["gates"]] == ["best", "best"]


HEARING = (
    *WORKS[:-1],
    WorkSpec(
        name="gate-mutants",
        agent="validator",
        stage="verify",
        after=("gate-tests",),
        reads=("app/**", "gate-tests"),
        params={"gate": "tests"},
    ),
    WorkSpec(name="deliver", agent="harvester", stage="deliver", after=("gate-lint", "gate-mutants")),
)
"""One of the gates goes by what another tells."""


@pytest.mark.parametrize(("better", "runs"), [(None, 3), (BETTER, 6)])
async def test_checks_that_nothing_changed_for_are_remembered_even_when_they_hear_of_each_other(
    build: Any, better: bytes | None, runs: int
) -> None:
    heard: list[dict[str, Any]] = []

    def validator(work: Work, code: bytes) -> Outcome:
        heard.append(work.upstream)
        return replace(gate(work, code), data={"of": code.decode()})

    ended = await build(
        BETTERING,
        works=HEARING,
        builder=lambda w, c: file(FIXED),
        optimizer=lambda w, c: improved(better) if better else Outcome(),
        validator=validator,
    )
    assert ended.state == "passed"
    assert {f"gate-mutants/confirm/{n}" for n in (1, 2, 3)} <= set(ended.added)
    assert len(heard) == runs
    told = [data for data in heard if data]
    assert told == [{"gate-tests": {"of": word}} for word in ("good", "best")[: runs // 3]]


async def test_an_improvement_that_fails_a_check_is_not_kept(build: Any) -> None:
    ended = await build(BETTERING, builder=lambda w, c: file(FIXED), optimizer=lambda w, c: improved(WORSE))
    assert ended.state == "passed"
    assert [row["figure"] for row in ended.report["gates"]] == ["good", "good"]
    assert "is not kept" in ended.said("verification-round")[0]
    (code,) = [row for row in ended.report["files"] if row["path"] == "app/x.py"]
    assert code["producer"] == "code"


def stepwise(steps: int) -> Any:
    """An optimizer with so many ideas, one a round."""

    def optimize(work: Work, code: bytes) -> Outcome:
        done = code.count(b"+")
        return improved(code + b"+", steps - done, steps - done - 1) if done < steps else Outcome()

    return optimize


@pytest.mark.parametrize(
    ("asked", "ideas", "done", "kept", "ended"),
    [
        (None, 9, 1, 1, "all rounds were used"),
        (2, 9, 2, 2, "all rounds were used"),
        (3, 2, 3, 2, "round 3 changed nothing"),
        (3, 0, 1, 0, "round 1 changed nothing"),
        (5, 9, 3, 3, "the plan has agents for 3"),
        (0, 9, 0, 0, "none was asked for"),
    ],
)
async def test_rounds_of_optimisation_go_on_while_they_help_and_never_past_their_number(
    build: Any, asked: int | None, ideas: int, done: int, kept: int, ended: str
) -> None:
    more = "" if asked is None else f"meta: {{optimization_rounds: {asked}}}"
    made = await build(BETTERING, builder=lambda w, c: file(FIXED), optimizer=stepwise(ideas), more=more)
    assert made.state == "passed"
    assert made.report["optimization"] == {
        "asked": 1 if asked is None else asked,
        "done": done,
        "kept": kept,
        "ended": ended,
    }
    assert [row["figure"] for row in made.report["gates"]] == ["good" + "+" * kept] * 2
    assert len([name for name in made.added if name.endswith("/optimizer/1")]) == done
    states = {row["path"]: row["state"] for row in made.report["nodes"]}
    assert asked is None or states["meta.optimization_rounds"] == "applied"


async def test_a_round_that_makes_nothing_better_is_not_kept(build: Any) -> None:
    def optimize(work: Work, code: bytes) -> Outcome:
        return improved(code + b"+") if b"+" not in code else replace(improved(code + b"-", 1, 1))

    more = "constraints: {optimization_rounds: 3}"
    made = await build(BETTERING, builder=lambda w, c: file(FIXED), optimizer=optimize, more=more)
    assert made.state == "passed"
    assert [row["figure"] for row in made.report["gates"]] == ["good+", "good+"]
    assert (
        made.report["optimization"]["ended"]
        == "round 2 made nothing better that is measured, so it is not kept"
    )
    assert (made.report["optimization"]["done"], made.report["optimization"]["kept"]) == (2, 1)
    (told,) = made.said("verification-round")
    assert told.startswith(
        "Round 3 of verification found nothing better that gate-tests/confirm/2/optimizer/1"
    )
    (code,) = [row for row in made.report["files"] if row["path"] == "app/x.py"]
    assert code["producer"] == "code"


async def test_a_later_round_that_fails_a_check_leaves_the_one_before_it(build: Any) -> None:
    def optimize(work: Work, code: bytes) -> Outcome:
        return improved(BETTER if code == FIXED else WORSE)

    more = "constraints: {optimization_rounds: 3}"
    made = await build(BETTERING, builder=lambda w, c: file(FIXED), optimizer=optimize, more=more)
    assert (made.state, [row["figure"] for row in made.report["gates"]]) == ("passed", ["best", "best"])
    assert made.report["optimization"] == {
        "asked": 3,
        "done": 2,
        "kept": 1,
        "ended": "round 2 made a check fail, so it is not kept",
    }


async def test_rounds_come_after_what_the_debugger_mended(build: Any) -> None:
    made = await build(
        f"{FAILING}, {BETTERING}",
        debugger=lambda w, c: file(FIXED if c == WORSE else WORSE),
        optimizer=stepwise(9),
        more="constraints: {optimization_rounds: 3}",
    )
    assert made.state == "passed"
    assert made.report["optimization"]["kept"] == 3, (
        "two corrections and three rounds nest as deep as a build may"
    )


async def test_rounds_that_do_not_fit_are_told(build: Any) -> None:
    more = "constraints: {optimization_rounds: 3}"
    made = await build(BETTERING, cap=12, builder=lambda w, c: file(FIXED), optimizer=stepwise(9), more=more)
    assert (made.report["optimization"]["done"], made.report["optimization"]["ended"]) == (
        2,
        "the plan has agents for 2",
    )
    said = [row["text"] for row in made.report["assumptions"]]
    assert any(text.startswith("optimization_rounds: 3 were asked for, 2 are possible") for text in said)


async def test_without_an_optimizer_the_rounds_are_reported_as_not_done(build: Any) -> None:
    more = "constraints: {optimization_rounds: 3}"
    made = await build("", builder=lambda w, c: file(FIXED), more=more)
    assert made.report["optimization"]["ended"] == "no behaviour on_success asks for an optimizer"
    states = {row["path"]: row["state"] for row in made.report["nodes"]}
    assert states["constraints.optimization_rounds"] == "not understood"


async def test_checks_of_what_nothing_changed_are_remembered(build: Any) -> None:
    ended = await build(BETTERING, builder=lambda w, c: file(FIXED), optimizer=lambda w, c: Outcome())
    assert ended.state == "passed"
    assert len(ended.agents["validator"].seen) == 2, "the confirming checks cost nothing"


async def test_on_integration_a_tester_comes_for_every_node_and_the_checks_see_their_files(
    build: Any,
) -> None:
    def tester(work: Work, code: bytes) -> Outcome:
        return file(b"probe", f"tests/{work.params['node']}.py")

    ended = await build(
        "on_integration: spawn_tester_army",
        works=(*WORKS, ARMY),
        builder=lambda w, c: file(FIXED),
        tester=tester,
    )
    assert ended.state == "passed"
    assert ended.added == {"join/tester/1": "done", "join/tester/2": "done", "join/tidy/1": "done"}
    seen = {ref.path for work in ended.agents["validator"].seen for ref in work.inputs}
    assert seen == {"app/x.py", "tests/Card.py", "tests/Board.py"}
    tidied = {ref.path for ref in ended.agents["integrator"].seen[1].inputs}
    assert tidied == seen, "and the integrator sees them first"


async def test_without_the_wish_there_is_no_army(build: Any) -> None:
    ended = await build("", works=(*WORKS, ARMY), builder=lambda w, c: file(FIXED))
    assert (ended.state, ended.added) == ("passed", {})


async def test_on_complexity_a_task_of_many_files_is_split_and_joined(build: Any) -> None:
    many = tuple(TemplateFile(source="s", path=f"{n}.py") for n in range(30))
    works = (msgspec.structs.replace(WORKS[0], files=many), *WORKS[1:])

    def decompose(work: Work, code: bytes) -> Outcome:
        parts = range(1, int(work.params["parts"]) + 1)
        return Outcome(
            spawn=tuple(
                Spawn(behaviour="decomposer", n=n, agent=work.params["for"], params={"part": str(n)})
                for n in parts
            )
        )

    ended = await build(
        "on_complexity: spawn_decomposer",
        works=works,
        decomposer=decompose,
        builder=lambda w, c: file(FIXED, "app/x.py" if w.params["part"] == "1" else f"{w.params['part']}.py"),
    )
    assert ended.state == "passed"
    assert set(ended.added) == {f"code/decomposer/{n}" for n in (1, 2, 3)}
    seen = {ref.path for ref in ended.agents["integrator"].seen[0].inputs}
    assert seen == {"app/x.py", "2.py", "3.py"}, (
        "who waits for the task waits for its parts and reads their files"
    )


async def test_the_cap_holds_and_the_plan_says_what_is_not_done(build: Any) -> None:
    ended = await build(FAILING, cap=5, debugger=lambda w, c: file(FIXED))
    assert (ended.state, ended.added) == ("failed", {})
    said = [row["text"] for row in ended.report["assumptions"]]
    assert "on_failure would need 6 agents more, max_agents leaves 0: nothing is done." in said


async def test_the_same_task_run_twice_adds_the_same_agents_once(build: Any, desk: Any) -> None:
    """Two workers ran one task to its end; only one of them may say so, and both ask for the same."""
    ended = await build(FAILING, twice=CLOSE, debugger=lambda w, c: file(FIXED))
    assert ended.state == "passed"
    assert sum(name.startswith(f"{CLOSE}/") for name in ended.tasks) == 3
    first, second = ended.twice
    assert (first.tasks, first.edges) == (second.tasks, second.edges)
    assert len(first.tasks) == 3
