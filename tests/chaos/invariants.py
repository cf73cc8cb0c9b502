"""A-1 to A-15 of the engine, read from the journal after a run and from what processes wrote; ``together`` has more."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import meters
import plans
import together

OVER = {"done", "failed", "cancelled", "quarantined", "skipped"}
END_KINDS = {f"task.{state}" for state in OVER} | {"task.reused"}
"""A fork begins with what it took over."""
AGAIN = {"task.reset", "task.removed"}
"""A retry begins the task anew, or takes it away until it is spawned once more."""
AMISS = timedelta(minutes=1)
"""The wrong clocks are ten minutes off."""
Attempt = tuple[str, str, int]


class Journal:
    """All rows of one database, as plain data."""

    def __init__(self) -> None:
        self.builds: dict[str, Any] = {}
        self.tasks: dict[str, dict[str, Any]] = defaultdict(dict)
        self.parents: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.events: dict[str, list[Any]] = defaultdict(list)
        self.workers: list[Any] = []
        self.memos: list[Any] = []
        self.boards: dict[str, dict[str, Any]] = defaultdict(dict)
        self.mails: dict[str, list[Any]] = defaultdict(list)
        self.paid: dict[Any, tuple[int, float]] = {}
        self.breaches: list[Any] = []
        self.now: datetime

    @classmethod
    async def read(cls, connection: Any) -> Journal:
        """Everything, in one snapshot."""
        found = cls()
        async with connection.transaction(isolation="repeatable_read"):
            for row in await connection.fetch("select * from build"):
                found.builds[str(row["id"])] = row
            for row in await connection.fetch("select * from task order by n"):
                found.tasks[str(row["build_id"])][row["id"]] = row
            for row in await connection.fetch("select * from edge"):
                found.parents[str(row["build_id"]), row["child"]].append(row["parent"])
            for row in await connection.fetch("select * from event order by build_id, seq"):
                found.events[str(row["build_id"])].append(row)
            for row in await connection.fetch("select * from board"):
                found.boards[str(row["build_id"])][row["key"]] = row
            for row in await connection.fetch("select * from mail"):
                found.mails[str(row["build_id"])].append(row)
            found.workers = await connection.fetch("select * from worker")
            found.memos = await connection.fetch("select * from memo")
            found.now = await connection.fetchval("select factory_now()")
            if await connection.fetchval("select to_regclass('meter') is not null"):
                found.paid = await meters.paid(connection)
                found.breaches = await meters.breaches(connection)
        return found


class Ledger:
    """When agents ran, by their processes' own account."""

    def __init__(self, folder: Path) -> None:
        self.runs: list[tuple[Attempt, float]] = []
        self.ends: dict[Attempt, tuple[str, float]] = {}
        self.refused: list[tuple[Attempt, str]] = []
        """Reports that came too late, and what they said."""
        self.violations: list[str] = []
        self.jobs: set[int] = set()
        for file in sorted(folder.glob("*.jsonl")):
            for line in file.read_text().splitlines():
                self._take(json.loads(line))

    def _take(self, facts: dict[str, Any]) -> None:
        if "run" in facts:
            build, task, fence = facts["run"]
            self.runs.append(((build, task, fence), facts["at"]))
        elif "end" in facts:
            build, task, fence = facts["end"]
            self.ends[build, task, fence] = (facts["how"], facts["at"])
        elif "refused" in facts:
            build, task, fence = facts["refused"]
            self.refused.append(((build, task, fence), facts["kind"]))
        elif "job" in facts:
            self.jobs.add(facts["job"])
        else:
            self.violations.append(facts["violation"])


def check(journal: Journal, names: dict[str, str]) -> Iterator[str]:
    """All that one snapshot of the journal can tell. ``names``: what builds were made to do."""
    for build, row in journal.builds.items():
        tasks, events = journal.tasks[build], journal.events[build]
        where = f"build {build} ({names.get(build, 'unknown')})"
        for found in (
            *numbered(row, events),
            *told_once(row, tasks, events),
            *fenced(events),
            *ordered(journal, build, tasks, events),
            *agreeing(row, tasks, events),
            *born(row, tasks, events),
            *dated(row, tasks, events, journal.now),
            *stopped(events),
        ):
            yield f"{found}: {where}"
        if build in names:
            for found in foreseen(row, tasks, events, names[build]):
                yield f"{found}: {where}"
    yield from slots(journal)
    yield from together.check(journal, names)


def numbered(row: Any, events: list[Any]) -> Iterator[str]:
    """A-2, the journal's half."""
    if [event["seq"] for event in events] != list(range(1, row["next_seq"])):
        yield f"A-2 events are not 1..{row['next_seq'] - 1}"


def told_once(row: Any, tasks: dict[str, Any], events: list[Any]) -> Iterator[str]:
    """A-1: every task of a build that ended has ended by one event, and the build by one, unless they were retried."""
    over: set[str | None] = set()
    for event in events:
        task = None if event["kind"].startswith("build.") else event["task"]
        if event["kind"] in END_KINDS or event["kind"] == "build.ended":
            if task in over:
                yield f"A-1 {task or 'the build'} ended twice"
            over.add(task)
        elif event["kind"] in AGAIN or event["kind"] == "build.retried":
            over.discard(task)
    if not row["open"]:
        missing = {*tasks, None} - over
        if missing:
            yield f"A-1 it ended without {sorted(map(str, missing))[:5]}"


def fenced(events: list[Any]) -> Iterator[str]:
    """A-3: what is done was done under the highest fence; fences only rise."""
    highest: dict[str, int] = defaultdict(int)
    done: dict[str, int] = {}
    spawned_again = False  # under fences above all that were taken away
    for event in events:
        if event["kind"] in AGAIN:
            done.pop(event["task"], None)
            spawned_again |= event["kind"] == "task.removed"
        elif event["kind"] == "task.started":
            rises = event["fence"] - highest[event["task"]]
            if rises < 1 or (rises > 1 and not spawned_again):
                yield f"A-3 {event['task']} was started under {event['fence']} after {highest[event['task']]}"
            highest[event["task"]] = event["fence"]
        elif event["kind"] == "task.done":
            done[event["task"]] = event["fence"]
    for task, fence in done.items():
        if fence != highest[task]:
            yield f"A-3 {task} was done under {fence}, its highest fence is {highest[task]}"


def ordered(journal: Journal, build: str, tasks: dict[str, Any], events: list[Any]) -> Iterator[str]:
    """A-4: nothing starts after its end, nor before its parents' good end."""
    over: dict[str, str] = {}
    for event in events:
        task = event["task"]
        if event["kind"] == "task.started":
            if task in over:
                yield f"A-4 {task} started after it was {over[task]}"
            for parent in journal.parents[build, task]:
                bad = over.get(parent) not in (None, "done")
                excused = tasks[task]["always"] or (tasks[parent]["optional"] and not tasks[task]["optional"])
                if parent not in over or (bad and not excused):
                    yield f"A-4 {task} started while {parent} was {over.get(parent, 'not over')}"
        elif event["kind"] in END_KINDS:
            over[task] = _state(event)
        elif event["kind"] in AGAIN:
            over.pop(task, None)


def _state(event: Any) -> str:
    """What the task is after the event that ended it."""
    return "done" if event["kind"] == "task.reused" else event["kind"].removeprefix("task.")


def agreeing(row: Any, tasks: dict[str, Any], events: list[Any]) -> Iterator[str]:
    """A-5: rows say what events say."""
    told: dict[str, str] = {}
    for event in events:
        if event["kind"] in END_KINDS:
            told[event["task"]] = _state(event)
        elif event["kind"] in AGAIN:
            told.pop(event["task"], None)
    for task, facts in tasks.items():
        state = facts["state"]
        if (state in OVER or task in told) and told.get(task) != state:
            yield f"A-5 {task} is {state}, its events say {told.get(task)}"
        if state == "done" and facts["result"] is None and facts["agent"] not in plans.QUIET:
            yield f"A-5 {task} is done without a result"
    yield from claimed(tasks, events)
    counted = Counter(facts["state"] for facts in tasks.values())
    unfinished = sum(count for state, count in counted.items() if state not in OVER)
    if (row["tasks"], row["unfinished"], row["ready"]) != (len(tasks), unfinished, counted["ready"]):
        yield f"A-5 its counters are {row['tasks']}, {row['unfinished']}, {row['ready']}, its tasks {dict(counted)}"


def claimed(tasks: dict[str, Any], events: list[Any]) -> Iterator[str]:
    """A-5: as often as the row says, unless a retry had the task spawned once more."""
    starts = Counter(event["task"] for event in events if event["kind"] == "task.started")
    spawned_again = any(event["kind"] == "task.removed" for event in events)
    for task, facts in tasks.items():
        if facts["fence"] != starts[task] and not (spawned_again and facts["parent"]):
            yield f"A-5 {task} was claimed {facts['fence']} times and started {starts[task]} times"


def born(row: Any, tasks: dict[str, Any], events: list[Any]) -> Iterator[str]:
    """A-6: children exist when and only when their parent is done, and are told; agents within the cap."""
    told = Counter[str]()
    for event in events:
        told[event["kind"]] += 1
        if event["kind"] in ("build.planned", "build.grown"):
            told["added"] += json.loads(event["body"])["tasks"]
    if len(tasks) != 1 + told["added"] - told["task.removed"]:
        yield f"A-6 {len(tasks)} tasks, told of {told['added']}, {told['task.removed']} taken away"
    for task, facts in tasks.items():
        parent = tasks.get(facts["parent"])
        if facts["parent"] is not None and (parent is None or parent["state"] != "done"):
            yield f"A-6 {task} exists, its parent is {parent and parent['state']}"
    agents = sum(t["agent"] not in plans.QUIET and t["parent"] is not None for t in tasks.values())
    if agents > row["max_agents"] or row["agents"] != agents:
        yield f"A-6 {agents} agents, counted {row['agents']}, cap {row['max_agents']}"


def dated(row: Any, tasks: dict[str, Any], events: list[Any], now: datetime) -> Iterator[str]:
    """A-10: no time in the journal is of a clock that is wrong."""
    # A step reads the clock before it waits for locks, so what it then takes may be a moment younger than its date.
    first, now = row["created_at"] - AMISS, now + AMISS
    times = [("event", event["at"]) for event in events]
    times += [(task, t[column]) for task, t in tasks.items() for column in ("started_at", "ended_at")]
    for what, at in times:
        if at is not None and not first <= at <= now:
            yield f"A-10 {what} is dated {at}, the build {first} and the clock {now}"


def stopped(events: list[Any]) -> Iterator[str]:
    """A-11, the journal's half: nothing starts once a build is being stopped or paused."""
    held = ""
    for event in events:
        if event["kind"] in ("build.stopping", "build.paused"):
            held = event["kind"]
        elif event["kind"] in ("build.resumed", "build.retried"):
            held = ""
        elif event["kind"] == "task.started" and held:
            yield f"A-11 {event['task']} started after {held}"


def foreseen(row: Any, tasks: dict[str, Any], events: list[Any], name: str) -> Iterator[str]:
    """Undisturbed builds end as their plan says, disturbed ones too; only stopping and quarantine excuse."""
    crashes = Counter(event["task"] for event in events if event["kind"] == "task.lease_lost")
    lost = [task for task, facts in tasks.items() if facts["state"] == "quarantined"]
    for task in lost:
        if crashes[task] < 2:
            yield f"A-9 {task} was quarantined after {crashes[task]} lost leases"
    if row["open"]:
        yield "A-8 it did not end"
    if row["stop"] or lost or row["open"]:
        return
    if name.startswith(("files", "gate")):
        expected = "passed" if name.startswith("files") else "failed"
        if row["state"] != expected:
            reasons = {t: f["reason"] for t, f in tasks.items() if f["state"] == "failed"}
            yield f"A-8 it {row['state']} instead of {expected}: {reasons}"
        return
    expected_ends = plans.foresee(name, row["max_agents"])
    states = {task: facts["state"] for task, facts in tasks.items()}
    if states != expected_ends:
        wrong = {
            task: (states.get(task), expected_ends.get(task), tasks[task]["reason"] if task in tasks else "")
            for task in {**states, **expected_ends}
            if states.get(task) != expected_ends.get(task)
        }
        yield f"A-8 tasks ended otherwise than without faults (is, should): {dict(list(wrong.items())[:4])}"


def slots(journal: Journal) -> Iterator[str]:
    """A-9: who holds tasks is known, and holds no more than its slots."""
    known = {row["id"]: row for row in journal.workers}
    held = Counter(
        task["worker"]
        for tasks in journal.tasks.values()
        for task in tasks.values()
        if task["state"] == "running"
    )
    for worker, count in held.items():
        if worker not in known or count > known[worker]["slots"]:
            yield f"A-9 worker {worker} holds {count} tasks, {known.get(worker)}"


def ran(journal: Journal, ledger: Ledger) -> Iterator[str]:
    """A-4 and A-7 by the agents' own account: every run was claimed, none twice, none after the end."""
    yield from ledger.violations
    claimed = {
        (build, event["task"], event["fence"]): event
        for build, events in journal.events.items()
        for event in events
        if event["kind"] == "task.started"
    }
    done = {
        (build, event["task"]): event["fence"]
        for build, events in journal.events.items()
        for event in events
        if event["kind"] == "task.done" and event["fence"]
    }
    again = {
        (build, e["task"]) for build, events in journal.events.items() for e in events if e["kind"] in AGAIN
    }
    for attempt, count in Counter(attempt for attempt, _ in ledger.runs).items():
        build, task, fence = attempt
        if count != 1:
            yield f"A-7 {task} ran {count} times under fence {fence}: build {build}"
        if attempt not in claimed:
            yield f"A-5 {task} ran under fence {fence} and no event says so: build {build}"
        if fence > done.get((build, task), fence) and (build, task) not in again:
            yield f"A-7 {task} ran again under fence {fence} after it was done: build {build}"
    ran_under = {attempt for attempt, _ in ledger.runs}
    for (build, task), fence in done.items():
        if (build, task, fence) not in ran_under:
            yield f"A-5 {task} is done under fence {fence} and no agent ran: build {build}"
