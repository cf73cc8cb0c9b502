"""Turns the rounds of ``bench_engine.py`` into ratios, and into ``docs/reference/performance.md``."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

Rounds = Mapping[str, Sequence[Mapping[str, float]]]
"""Who was measured, and the figures of each round."""

PACKAGES = ("arq", "procrastinate", "dbos", "asyncpg", "redis", "uvloop", "psycopg", "factory-core")
RATIOS = (
    ("ours.arq_warm", "arq.throughput", 3.0, "x arq: one worker process, woken through arq, warm"),
    ("ours.arq_cold", "arq.throughput", 3.0, "x arq: the same, cold"),
    ("ours.direct", "arq.throughput", 3.0, "x arq: one worker process, woken by a list"),
    ("ours.arq_hot_build", "arq.throughput", 3.0, "x arq: one hot build of 4,000 ready tasks"),
    ("fleet.full_1_cold", "arq.throughput", 3.0, "x arq: tenants, limits, timers, payloads, cold"),
    ("fleet.full_1_warm", "arq.throughput", 3.0, "x arq: the same, warm"),
    ("fleet.full_2_warm", "arq.throughput", 3.0, "x arq's one: the same, 2 worker processes, warm"),
    ("fleet.full_4_warm", "arq.throughput", 3.0, "x arq's one: the same, 4 worker processes, warm"),
    ("ours.arq_warm", "procrastinate.throughput", 10.0, "x procrastinate, 20 slots"),
    ("ours.arq_warm", "dbos.throughput", 60.0, "x DBOS, workflows of one step, its queue polled every 20 ms"),
    ("ours.arq_cold", "ours.arq_warm", 0.8, "of warm: cold"),
)
"""At least so much; ratios are of the medians of one run."""
CEILINGS = (
    ("ours.chain_ms", None, 600.0, "ms: 40 dependent tasks of 10 ms"),
    ("ours.fan_ms", "arq.fan_ms", 0.5, "of arq's time: a fan-out of 200"),
    ("ours.start_p95_ms", None, 8.0, "ms: order to start, p95, idle"),
    ("ours.start_busy_p95_ms", None, 12.0, "ms: order to start, p95, 400 running"),
)
"""At most so much."""
FIGURES = {
    "ours.arq_cold": "ours, 12,000 no-ops in 100 builds, woken through arq, cold, tasks/s",
    "ours.arq_warm": "ours, the same, warm, tasks/s",
    "ours.arq_hot_build": "ours, 4,000 no-ops in one build, tasks/s",
    "ours.direct": "ours, 12,000 no-ops, woken by a list, tasks/s",
    **{
        f"fleet.{kind}_{size}_{state}": f"ours, {kind}, worker processes: {size}, {state}, tasks/s"
        for kind in ("plain", "full")
        for size in (1, 2, 4)
        for state in ("cold", "warm")
    },
    "arq.throughput": "arq, 4,000 no-ops, tasks/s",
    "arq.throughput_2": "arq, worker processes: 2, tasks/s",
    "arq.throughput_4": "arq, worker processes: 4, tasks/s",
    "procrastinate.throughput": "procrastinate, 800 no-ops, tasks/s",
    "dbos.throughput": "DBOS, 500 workflows of one no-op step through its queue, tasks/s",
    "dbos.no_step": "DBOS, 500 workflows without a step, tasks/s",
    "ours.chain_ms": "ours, chain of 40 x 10 ms, ms",
    "arq.chain_ms": "arq, the same, ms",
    "procrastinate.chain_ms": "procrastinate, the same, ms",
    "dbos.chain_ms": "DBOS, 40 steps of one workflow, ms",
    "ours.fan_ms": "ours, fan-out of 200 with a barrier, ms",
    "arq.fan_ms": "arq, 200 jobs from one, no barrier, ms",
    "ours.start_p95_ms": "ours, order to start, idle, p95 ms",
    "arq.start_p95_ms": "arq, the same, ms",
    "procrastinate.start_p95_ms": "procrastinate, the same, ms",
    "ours.start_busy_p95_ms": "ours, order to start, 400 running, p95 ms",
    "arq.start_busy_p95_ms": "arq, the same, ms",
}
NOTES = """\
## How to read it

- Only ratios of one run mean anything: other work on the machine moves every figure, and one run moves the servers, the
  workers and the peers alike. The spread says how much.
- The engine commits every task to PostgreSQL (`synchronous_commit=on`) before its worker hears that it may run, and again
  when it ends. arq does neither: it is the bare queue the engine must not be slower than. One step of a worker moves up to
  100 tasks; that batching is the whole gain. A worker with one slot is slower than arq.
- Loading is not timed, for the peers neither. Each script counts what ran and fails when that is not what was sent.
- *plain*: one organisation. *full*: eight organisations of three weights, half of them held to 80 running tasks, half with
  projects that share, half of the builds held to 60, payloads of 1 KiB in and out, one task in twenty delayed by up to
  0.2 s. *cold*: the workers have polled an empty database, so every statement was planned on empty tables; *warm*: the same
  again.
- Worker processes share the cores with PostgreSQL, Valkey and the loader: more processes than cores show that nothing
  breaks, not how it scales. arq's are measured alike; its workers race for the same jobs.
- The fan-out and the start include a commit when the work is ordered, which arq's do not.
"""


def medians(rounds: Rounds) -> dict[str, float]:
    """The median of each figure, ``who.what``."""
    return {
        f"{who}.{what}": statistics.median(row[what] for row in rows)
        for who, rows in rounds.items()
        for what in rows[0]
    }


def judge(figures: Mapping[str, float]) -> list[tuple[float, float, bool, str]]:
    """Each bar: what was measured, the bar, whether it is met, and what it is."""
    bars: list[tuple[float, float, bool, str]] = []
    for rows, least in ((RATIOS, True), (CEILINGS, False)):
        for mine, theirs, bar, text in rows:
            if mine in figures and (theirs is None or theirs in figures):
                value = figures[mine] / (figures[theirs] if theirs else 1.0)
                bars.append((value, bar, value >= bar if least else value <= bar, text))
    return bars


def missed(figures: Mapping[str, float]) -> list[str]:
    """What the bars that are not met are about."""
    return [text for _, _, met, text in judge(figures) if not met]


def versions(servers: Sequence[str]) -> str:
    """What was measured with what."""
    return ", ".join([*servers, *(f"{name} {version(name)}" for name in PACKAGES)])


def _priority() -> str:
    ours = os.sched_getscheduler(0)
    return (
        ""
        if ours == os.SCHED_OTHER
        else "; servers, peers and engine alike ran before all other work on it (`chrt`)"
    )


def page(rounds: Rounds, command: str, servers: Sequence[str]) -> str:
    """The reference page."""
    figures = medians(rounds)
    count = len(next(iter(rounds.values())))
    lines = [
        "# Performance of the engine",
        "",
        f"Written by `{command}`; do not edit.",
        "",
        f"- date: {datetime.now(UTC).date()}",
        f"- machine: {os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()},"
        f" load average {os.getloadavg()[0]:.1f} at the end{_priority()}",
        f"- versions: {versions(servers)}",
        f"- rounds: {count}, the peers and the engine in turn; figures are medians, with the least and the most",
        "",
        "| bar | measured | met | what |",
        "| ---: | ---: | --- | --- |",
    ]
    lines += [
        f"| {bar:g} | {value:.2f} | {'yes' if met else '**no**'} | {text} |"
        for value, bar, met, text in judge(figures)
    ]
    lines += ["", "| figure | median | least | most |", "| --- | ---: | ---: | ---: |"]
    for name, text in FIGURES.items():
        who, what = name.split(".")
        values = [row[what] for row in rounds.get(who, ()) if what in row]
        if values:
            lines.append(f"| {text} | {figures[name]:,.1f} | {min(values):,.1f} | {max(values):,.1f} |")
    return "\n".join([*lines, "", NOTES])


def show(figures: Mapping[str, float]) -> dict[str, Any]:
    """Print the figures and the bars; what is kept as ``.bench/engine.json``."""
    for name in sorted(figures):
        print(f"{name:36} {figures[name]:12,.1f}")
    print()
    kept: dict[str, Any] = dict(figures)
    for value, bar, met, text in judge(figures):
        kept[f"bar.{text}"] = value
        print(f"{value:8.2f} {text} (bar {bar:g}){'' if met else '  MISSED'}")
    return kept
