"""A-16 to A-20: what agents tell each other, what organisations keep from each other, what waits for a time or a person."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import plans

if TYPE_CHECKING:
    from invariants import Journal

EARLY = timedelta(seconds=1)
"""A step reads the clock before it waits for locks, so what is claimed may be dated a moment too early."""
LATE = timedelta(seconds=6)
"""A database that restarts twice cannot look at deadlines meanwhile."""
TOLL = 0.1
"""Seconds of a slot that the shortest attempt costs."""


def check(journal: Journal, names: dict[str, str]) -> Iterator[str]:
    """All of it, over all builds. ``names``: what builds were made to do."""
    for build, name in names.items():
        tasks, events = journal.tasks[build], journal.events[build]
        for found in (
            *written(journal.boards[build], build, tasks, events),
            *posted(journal.mails[build], tasks, events, name),
            *timely(tasks, events, plans.plan(name).tasks if name.startswith("timed") else ()),
            *halted(events),
        ):
            yield f"{found}: build {build} ({name})"
    for row in journal.breaches:
        rule = "A-16" if row["what"] == "board" else "A-17"
        yield f"{rule} {row['task']} wrote under fence {row['fence']}, which it had lost: build {row['build_id']}"
    yield from apart(journal)
    yield from charged(journal)


def written(board: dict[str, Any], build: str, tasks: dict[str, Any], events: list[Any]) -> Iterator[str]:
    """A-16: each line once, those of the try that counts all and in order, none of a lost try after its successor's."""
    if "log" not in board:
        return
    lines = board["log"]["value"].split()
    if board["log"]["version"] != len(lines):
        yield f"A-16 {board['log']['version']} writes left {len(lines)} lines"
    if len(set(lines)) != len(lines):
        yield "A-16 a line was written twice"
    steps: dict[tuple[str, int], list[int]] = defaultdict(list)
    highest: dict[str, int] = defaultdict(int)
    for line in lines:
        of, task, fence, step = line.rsplit(":", 3)
        if of != build:
            continue  # a fork begins with the board of its source
        if int(fence) < highest[task]:
            yield f"A-16 {task} wrote under fence {fence} after its try {highest[task]} had"
        highest[task] = max(highest[task], int(fence))
        steps[task, int(fence)].append(int(step))
    done = {event["task"]: event["fence"] for event in events if event["kind"] == "task.done"}
    for task, facts in tasks.items():
        counts = facts["state"] == "done" and '"board"' in facts["params"] and done.get(task)
        if counts and steps[task, counts] != list(range(plans.STEPS)):
            yield f"A-16 {task} is done under fence {counts} and its lines are {steps[task, counts]}"


def posted(mail: list[Any], tasks: dict[str, Any], events: list[Any], name: str) -> Iterator[str]:
    """A-17: who is done has heard all it was written in the round before; its own letters are of the try that counts."""
    if not name.startswith("mesh"):
        return
    expected = plans.heard(name)
    for task, facts in tasks.items():
        told = facts["state"] == "done" and task in expected and json.loads(facts["result"])["heard"]
        if told and told != expected[task]:
            yield f"A-17 {task} heard {told} instead of {expected[task]}"
    done = {event["task"]: event["fence"] for event in events if event["kind"] == "task.done"}
    over = {task for task, facts in tasks.items() if facts["state"] == "done"} & done.keys()
    for task in over & expected.keys():
        fences = {row["fence"] for row in mail if row["task"] == task}
        count = sum(row["task"] == task for row in mail)
        if fences != {done[task]} or count != int(json.loads(tasks[task]["params"])["peers"]) - 1:
            yield f"A-17 {task} is done under fence {done[task]} and left {count} letters of {sorted(fences)}"


def timely(tasks: dict[str, Any], events: list[Any], planned: Any) -> Iterator[str]:
    """A-19: nothing begins before its time, and no try counts that took much longer than its deadline."""
    began: dict[tuple[str, int], Any] = {}
    laid = next((event["at"] for event in events if event["kind"] == "build.planned"), None)
    forked = any(event["kind"] == "task.reused" for event in events)
    delays = {
        task.id: timedelta(seconds=task.delay) for task in planned if task.delay > EARLY.total_seconds()
    }
    for event in events:
        if event["kind"] == "task.started":
            began[event["task"], event["fence"]] = event["at"]
            delay = delays.pop(event["task"], None)  # a task that is run again waits for no time
            if delay is not None and not forked and event["at"] < laid + delay - EARLY:
                yield f"A-19 {event['task']} began {event['at'] - laid} after the plan, {delay} was due"
        elif event["kind"] == "task.done" and (event["task"], event["fence"]) in began:
            limit = timedelta(seconds=tasks[event["task"]]["deadline_seconds"]) + LATE
            took = event["at"] - began[event["task"], event["fence"]]
            if took > limit:
                yield f"A-19 {event['task']} counts though it took {took}"


def halted(events: list[Any]) -> Iterator[str]:
    """A-20: nothing begins and nothing ends a build while it waits for a person; after a no, nothing begins at all."""
    held = ""
    for event in events:
        match event["kind"]:
            case "build.halted":
                held = "it halted"
            case "build.decided":
                held = "" if json.loads(event["body"])["decision"] == "approved" else "a person said no"
            case "build.retried" | "build.stopping":
                held = "" if event["kind"] == "build.retried" else held or "it was stopped"
            case "task.started" | "build.ended" if held == "it halted":
                yield f"A-20 {event['kind']} {event['task'] or ''} though {held}"
            case "task.started" if held:
                yield f"A-20 {event['task']} began though {held}"
            case _:
                pass


def apart(journal: Journal) -> Iterator[str]:
    """A-18, what is kept: every row of a build is its organisation's, and nothing was remembered for another one."""
    for build, row in journal.builds.items():
        rows = [*journal.tasks[build].values(), *journal.events[build], *journal.mails[build]]
        if any(each["org_id"] != row["org_id"] for each in (*rows, *journal.boards[build].values())):
            yield f"A-18 build {build} has rows of another organisation"
        for task, facts in journal.tasks[build].items():
            origin = (json.loads(facts["result"] or "{}").get("origin") or {}).get("build")
            if origin in journal.builds and journal.builds[origin]["org_id"] != row["org_id"]:
                yield f"A-18 {task} of build {build} is of build {origin}, which is another organisation's"


def charged(journal: Journal) -> Iterator[str]:
    """A-18, what is paid: each organisation for the seconds of its own attempts, by its weight, and for no others."""
    used: dict[Any, float] = defaultdict(float)
    for build, events in journal.events.items():
        began: dict[tuple[str, int], Any] = {}
        for event in events:
            attempt = (event["task"], event["fence"])
            if event["kind"] == "task.started":
                began[attempt] = event["at"]
            elif attempt in began and event["kind"].startswith("task."):
                seconds = (event["at"] - began.pop(attempt)).total_seconds()
                used[journal.builds[build]["org_id"]] += max(seconds, TOLL)
    for org, (weight, paid) in journal.paid.items():
        if abs(paid * weight - used[org]) > 0.01 + used[org] * 1e-6:
            yield f"A-18 organisation {org} used {used[org]:.3f} s and paid for {paid * weight:.3f} s"
