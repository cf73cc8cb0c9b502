"""A Hypothesis machine that drives the journal and its model, and compares them after each move.

One example is one transaction that is rolled back, so thousands fit into a test. Time is a setting of the session.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from journal_model import DEADLINE, DEPTH, ENDED, PATIENCE, Build, children, completions
from journal_packing import PackingMoves

from factory_core.builds.schemas import Assignment, Completion, Report, Submission
from factory_core.builds.shares import OrganisationShare

TTL = 20.0
TOLL = 0.1
CAPS = {"x": 5, "y": 50, "z": 5}
"""Agents a build may have: so few that the cap is met, so many that the depth is."""
AT_ONCE = 7
"""Tasks of the organisation that may run at once, and of each build:"""
AT_ONCE_OF = {"x": None, "y": 3, "z": None}
CLOCK = """create or replace function factory_now() returns timestamptz language sql volatile as
$$ select current_setting('test.now')::timestamptz $$"""


LIMIT = f"""create or replace function journal.patience() returns double precision language sql as
$$ select {PATIENCE}::double precision $$"""


class JournalMachine(PackingMoves, RuleBasedStateMachine):
    """``journal`` and ``run`` are set by the test: a journal over one connection, and how to await."""

    connection: Any
    journal: Any
    run: Callable[[Any], Any]
    ids = 0

    @initialize(plans=st.lists(children("", 3), min_size=2, max_size=2))
    def begin(self, plans: list[Completion]) -> None:
        self.builds: dict[Any, Build] = {}
        self.keys: dict[str, Any] = {}
        self.workers: dict[Any, list[float]] = {}
        """worker -> [tick, beat]"""
        self.given: list[tuple[Any, str, int]] = []
        self.sent: tuple[Any, ...] | None = None
        self.at_work: dict[tuple[Any, str, int], float] = {}
        """When what runs was started."""
        self.used = 0.0
        self.ids = 0
        self.now, self.org = 0.0, self.new_id()
        self.run(self.connection.execute("begin"))
        self.pass_time(0.0)
        self.run(self.journal.found(self.org, "one"))
        self.run(self.journal.shares.give(self.org, OrganisationShare(max_running=AT_ONCE)))
        self.add_worker()
        worker = next(iter(self.workers))
        self.submit("x")
        self.submit("y")
        self.take_turn(worker, 1, [], [], 2, True)
        reports = [self.report_of(key, plan) for key, plan in zip(self.given, plans, strict=True)]
        self.take_turn(worker, 2, reports, plans, 6, True)

    def new_id(self) -> UUID:
        """Ids in an order that a replay repeats."""
        self.ids += 1
        return UUID(int=self.ids)

    def teardown(self) -> None:
        self.run(self.connection.execute("rollback"))

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.now)
        self.run(self.connection.execute(f"set local test.now = '{at.isoformat()}'"))

    @rule(key=st.sampled_from("xyz"))
    def submit(self, key: str) -> None:
        order = Submission(
            org=self.org,
            idem_key=key,
            spec_digest=key,
            max_agents=CAPS[key],
            max_depth=DEPTH,
            max_running=AT_ONCE_OF[key],
        )
        made = self.run(self.journal.submit(order, build=self.new_id()))
        assert made.created == (key not in self.keys)
        assert self.keys.setdefault(key, made.build) == made.build
        self.builds.setdefault(made.build, Build(CAPS[key], AT_ONCE_OF[key]))

    @rule()
    @precondition(lambda self: len(self.workers) < 3)
    def add_worker(self) -> None:
        worker = self.new_id()
        self.run(self.journal.enlist(worker, "w", 9))
        self.workers[worker] = [0, self.now]

    @rule(data=st.data())
    def work(self, data: st.DataObject) -> None:
        """The usual case, under a name of its own so that it is drawn often."""
        self.step(data, 6, True)

    @rule(data=st.data(), want=st.integers(0, 6), scan=st.booleans())
    def step(self, data: st.DataObject, want: int, scan: bool) -> None:
        worker = data.draw(st.sampled_from(sorted(self.workers)))
        pools = [
            keys for keys in (self.given, self.reportable(live=True), self.reportable(live=False)) if keys
        ]
        keys = data.draw(st.lists(st.one_of(*map(st.sampled_from, pools)), max_size=5)) if pools else []
        reports, done = [], []
        for key in keys:
            done.append(data.draw(completions(key[1])))
            reports.append(self.report_of(key, done[-1]))
        tick = int(self.workers[worker][0]) + 1
        self.sent = (worker, tick, reports, done, want, scan)
        self.take_turn(*self.sent)

    def report_of(self, key: tuple[Any, str, int], completion: Completion) -> Report:
        build, task, fence = key
        return Report.of(Assignment(org=self.org, build=build, task=task, fence=fence, agent=""), completion)

    def reportable(self, *, live: bool) -> list[tuple[Any, str, int]]:
        """The attempts that run, or those whose task runs again without them."""
        tasks = [(key, self.builds[key[0]].tasks.get(key[1])) for key in self.given]
        return [key for key, t in tasks if t and t.state == "running" and (t.fence == key[2]) == live]

    @rule()
    @precondition(lambda self: self.sent is not None and self.sent[0] in self.workers)
    def the_answer_was_lost(self) -> None:
        assert self.sent is not None
        self.take_turn(*self.sent)

    def take_turn(
        self, worker: Any, tick: int, reports: list[Report], done: list[Completion], want: int, scan: bool
    ) -> None:
        held = tuple(self.given[-5:])
        turn = self.run(self.journal.step(worker, tick, reports, held, want=want, scan=scan, per=2))
        beat = self.workers[worker]
        new = tick > beat[0]
        beat[:] = [max(beat[0], tick), self.now]
        seen: set[Any] = set()
        tasks = {r.key: self.builds[r.build].tasks.get(r.task) for r in reports}
        before = {key: task.accepted if task else None for key, task in tasks.items()}
        assert len(turn.seqs) == len(reports)
        for report, completion, seq in zip(reports, done, turn.seqs, strict=True):
            build = self.builds[report.build]
            accepted = build.report(report.task, report.fence, completion, self.now)
            accepted = (accepted or before[report.key] == report.fence) and build.packed is None
            assert accepted == (seq is not None), (report, seq)
            seen.add(report.build)
            if seq is not None:
                row = {event["seq"]: event for event in self.events_of(report.build)}[seq]
                assert (row["task"], row["fence"]) == (report.task, report.fence)
        for build in self.builds.values():
            build.settle(self.now)
            build.finish()
        for key in held:
            build = self.builds[key[0]]
            task = build.tasks.get(key[1])
            held_still = task and (task.state, task.fence, task.worker) == ("running", key[2], worker)
            assert (bool(held_still) and not build.stop) == (key not in turn.revoked)
        self.check_started(turn, worker, tick, new=new, want=want, scan=scan, reported=seen)

    def check_started(
        self, turn: Any, worker: Any, tick: int, *, new: bool, want: int, scan: bool, reported: set[Any]
    ) -> None:
        if not new:
            expected = {
                (b, name, t.fence)
                for b, build in self.builds.items()
                for name, t in build.tasks.items()
                if t.state == "running" and t.worker == worker and t.tick == tick
            }
            assert {a.key for a in turn.started} == expected
            return
        idle = {b for b, build in self.builds.items() if build.stop or build.held}
        open_to = {b for b in self.builds if (scan or b in reported) and b not in idle}
        ready = {(b, n): t for b in open_to for n, t in self.builds[b].tasks.items() if t.state == "ready"}
        assert len(turn.started) <= want
        choice = {b for b, _ in ready if self.builds[b].room > 0}
        share = max(2, want // max(1, len(choice)) + 1)
        rooms = {b: min(self.builds[b].room, share, sum(of == b for of, _ in ready)) for b in choice}
        running = sum(build.running for build in self.builds.values())
        possible = min(want, AT_ONCE - running, sum(rooms.values()))
        assert len(turn.started) <= possible
        if len(choice) <= want // 2 + 1 or not scan:
            assert len(turn.started) == possible
        if scan and want:
            assert turn.more == (possible > 0)
        for attempt in sorted(turn.started, key=lambda a: a.key):
            assert (attempt.build, attempt.task) in ready
            task = ready.pop((attempt.build, attempt.task))
            task.state, task.worker, task.tick, task.run_at = "running", worker, tick, None
            task.fence += 1
            seconds = 900.0 if attempt.task == "plan" else DEADLINE
            task.deadline = self.now + seconds
            assert attempt.fence == task.fence
            build = self.builds[attempt.build]
            build.state = "planning" if build.state == "queued" else build.state
            build.tell("task.started", attempt.task, task.fence)
            self.given.append(attempt.key)
            self.at_work[attempt.key] = self.now

    @rule(seconds=st.sampled_from([1.0, 6.0, 6.0, 21.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.pass_time(seconds)

    @rule()
    def reap(self) -> None:
        silent = [w for w, beat in self.workers.items() if beat[1] < self.now - TTL]
        freed = self.run(self.journal.reap(TTL))
        assert (freed is None) == (not silent)
        left = {row["id"] for row in self.run(self.connection.fetch("select id from worker"))}
        for worker in set(self.workers) - left:
            assert worker in silent
            self.drop(worker, died=True, freed=freed)

    @rule()
    def all_workers_die(self) -> None:
        self.pass_time(TTL + 1)
        for _ in list(self.workers):
            self.reap()
        worker = next(iter(self.workers))
        self.sent = (worker, int(self.workers[worker][0]) + 1, [], [], 6, True)
        self.take_turn(*self.sent)

    @rule(data=st.data())
    @precondition(lambda self: len(self.workers) > 1)
    def leave(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.workers)))
        self.drop(worker, died=False, freed=self.run(self.journal.leave(worker)))

    def drop(self, worker: Any, *, died: bool, freed: frozenset[Any]) -> None:
        del self.workers[worker]
        moved: set[Any] = set()
        for identity, build in self.builds.items():
            for name, task in list(build.tasks.items()):
                if task.state == "running" and task.worker == worker:
                    build.lose(name, died=died)
                    moved.add(identity)
            build.settle(self.now)
            build.finish()
        assert freed == moved
        if not self.workers:
            self.add_worker()

    @rule()
    def tend(self) -> None:
        """Timers and deadlines; nobody is silent for that long."""
        query = "select journal.fire() as fired, journal.expire() as expired, journal.fold()"
        told = self.run(self.connection.fetchrow(query))
        moved: tuple[set[Any], set[Any]] = set(), set()
        for identity, build in self.builds.items():
            if build.settle(self.now, timers=True):
                moved[0].add(identity)
            for name, task in list(build.tasks.items()):
                if task.state == "running" and task.deadline < self.now:
                    moved[1].add(identity)
                    task.tries += 1
                    if build.stop:
                        task.tries -= 1
                        build.end(name, "cancelled")
                    elif task.tries >= task.new.max_tries:
                        build.end(name, "failed")
                    else:
                        build.tell("task.retrying", name, task.fence)
                        task.state = "ready"
            build.settle(self.now)
            build.finish()
        assert (set(told["fired"]), set(told["expired"])) == moved

    def quarantined(self) -> list[tuple[Any, str]]:
        here = [(b, build) for b, build in self.builds.items() if build.packed is None]
        tasks = [(b, name, t) for b, build in here for name, t in build.tasks.items()]
        return [(b, name) for b, name, t in tasks if t.state == "quarantined"]

    @rule(data=st.data())
    @precondition(lambda self: bool(self.quarantined()))
    def discard(self, data: st.DataObject) -> None:
        build, name = data.draw(st.sampled_from(self.quarantined()))
        for done in (True, False):
            query = "select journal.discard_task($1, $2, $3, 'me')"
            assert self.run(self.connection.fetchval(query, self.org, build, name)) == done
        self.builds[build].tasks[name].state = "failed"
        self.builds[build].tell("task.discarded", name)

    @rule(key=st.sampled_from("yz"))
    @precondition(lambda self: "z" in self.keys)
    def cancel(self, key: str) -> None:
        build = self.builds[self.keys[key]]
        assert self.run(self.journal.cancel(self.org, self.keys[key])) == build.open
        build.cancel()

    @invariant()
    def they_agree(self) -> None:
        if not getattr(self, "builds", None):
            return
        tasks: dict[Any, dict[str, Any]] = {
            b: {
                row["id"]: row
                for table, text in build.packed or ()
                if table == "task"
                for row in [json.loads(text)]
            }
            for b, build in self.builds.items()
        }
        for row in self.run(self.connection.fetch("select * from task")):
            assert self.builds[row["build_id"]].packed is None
            tasks[row["build_id"]][row["id"]] = row
        for row in self.run(self.connection.fetch("select * from build")):
            self.compare(row, self.builds[row["id"]], tasks[row["id"]], self.events_of(row["id"]))
        self.charge()

    def charge(self) -> None:
        """Each slot that is no longer taken was paid for, however its attempt ended."""
        for key in set(self.at_work) - set(self.reportable(live=True)):
            self.used += max(self.now - self.at_work.pop(key), TOLL)
        query = "select sum(vt) from (select vt from organisation union all select vt from usage) x"
        assert abs(self.run(self.connection.fetchval(query)) - self.used) < 1e-6

    def compare(self, row: Any, build: Build, tasks: dict[str, Any], events: list[Any]) -> None:
        assert {n: (t["state"], t["fence"], t["tries"], t["crashes"]) for n, t in tasks.items()} == {
            n: (t.state, t.fence, t.tries, t.crashes) for n, t in build.tasks.items()
        }
        live = {n: t for n, t in build.tasks.items() if t.state not in ENDED}
        assert {n: round(tasks[n]["parked"], 6) for n in live} == {
            n: round(t.parked, 6) for n, t in live.items()
        }
        assert (row["state"], row["open"], row["agents"]) == (build.state, build.open, build.agents)
        assert [e["seq"] for e in events] == list(range(1, row["next_seq"]))
        assert Counter((e["kind"], e["task"], e["fence"]) for e in events) == build.events
        added = [json.loads(e["body"]) for e in events if e["kind"] in ("build.planned", "build.grown")]
        removed = sum(e["kind"] == "task.removed" for e in events)
        assert row["tasks"] == len(tasks) == 1 + sum(body["tasks"] for body in added) - removed
        if added and not removed:
            assert row["agents"] == added[-1]["agents"]
        states = Counter(t["state"] for t in tasks.values())
        assert row["ready"] == states["ready"]
        assert row["unfinished"] == sum(n for state, n in states.items() if state not in ENDED)
        assert row["broken"] == sum(
            t["state"] in ENDED - {"done"} and not t["optional"] for t in tasks.values()
        )
        for name, task in tasks.items():
            if task["state"] == "waiting":
                assert task["need"] == sum(
                    build.tasks[p].state not in ENDED for p in build.tasks[name].parents
                )


def check(
    url: str,
    examples: int,
    connect: Callable[[str], Any],
    journal: Callable[[Any], Any],
    kind: type[JournalMachine] = JournalMachine,
) -> None:
    """Drive the machine over the database for some examples. Raises AssertionError with a short history."""
    from hypothesis import HealthCheck, Phase, settings
    from hypothesis.stateful import run_state_machine_as_test

    with asyncio.Runner() as runner:
        connection = runner.run(connect(url))
        runner.run(connection.execute(CLOCK))
        runner.run(connection.execute(LIMIT))
        machine = type(
            "Machine",
            (kind,),
            {"connection": connection, "journal": journal(connection), "run": staticmethod(runner.run)},
        )
        try:
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=40,
                    deadline=None,
                    derandomize=True,
                    report_multiple_bugs=False,
                    database=None,
                    phases=(Phase.generate,),
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(connection.close())
