"""The engine beside its peers: same servers, interleaved rounds, one run. ``python tests/load/bench_engine.py [ROUNDS]``.

Prints medians and ratios, and writes ``.bench/engine.json``. Needs dependency group ``bench``.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from factory_core.testing.boot import installed_servers

HERE = Path(__file__).parent
RUNS = {
    "ours": HERE / "ours.py",
    "arq": HERE / "peers" / "arq_peer.py",
    "procrastinate": HERE / "peers" / "procrastinate_peer.py",
    "dbos": HERE / "peers" / "dbos_peer.py",
}
BARS = (
    ("arq_warm", "arq", "throughput", 3.0, "x arq, no-op tasks, woken through arq, warm"),
    ("arq_cold", "arq", "throughput", 3.0, "x arq, the same, cold"),
    ("direct", "arq", "throughput", 3.0, "x arq, woken by a list"),
    ("arq_hot_build", "arq", "throughput", 3.0, "x arq, one hot build of 4,000"),
    ("arq_warm", "procrastinate", "throughput", 10.0, "x procrastinate"),
    ("arq_warm", "dbos", "throughput", 60.0, "x DBOS, tuned queue"),
)


def fresh(url: str, name: str) -> str:
    async def recreate() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(f'drop database if exists "{name}" with (force)')
        await connection.execute(f'create database "{name}"')
        await connection.close()

    asyncio.run(recreate())
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def measure(name: str, database_url: str, queue_url: str) -> dict[str, float]:
    urls = [queue_url] if name == "arq" else [fresh(database_url, f"bench_{name}")]
    if name == "ours":
        urls.append(queue_url)
    script = RUNS[name]
    ran = subprocess.run([sys.executable, str(script), *urls], capture_output=True, text=True, timeout=300)
    if ran.returncode:
        raise SystemExit(f"{script.name} failed:\n{ran.stderr[-3000:]}")
    return json.loads(ran.stdout.strip().splitlines()[-1])


def report(medians: dict[str, dict[str, float]]) -> dict[str, float]:
    figures = {f"{who}.{what}": value for who, row in medians.items() for what, value in row.items()}
    ours = medians["ours"]
    for name in sorted(figures):
        print(f"{name:36} {figures[name]:12,.1f}")
    print()
    for mine, peer, theirs, bar, text in BARS:
        ratio = ours[mine] / medians[peer][theirs]
        figures[f"ratio.{mine}_{peer}"] = ratio
        print(f"{ratio:8.2f} {text} (bar {bar:g}){'' if ratio >= bar else '  MISSED'}")
    cold = ours["arq_cold"] / ours["arq_warm"]
    fan = ours["fan_ms"] / medians["arq"]["fan_ms"]
    figures |= {"ratio.cold_warm": cold, "ratio.fan_arq": fan}
    print(f"{cold:8.2f} cold / warm (bar 0.8){'' if cold >= 0.8 else '  MISSED'}")
    print(f"{fan:8.2f} of arq's time, fan-out of 200 (bar 0.5){'' if fan <= 0.5 else '  MISSED'}")
    for name, bar in (("chain_ms", 600), ("start_p95_ms", 8), ("start_busy_p95_ms", 12)):
        print(f"{ours[name]:8.1f} {name} (bar {bar}){'' if ours[name] <= bar else '  MISSED'}")
    return figures


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    home = Path(tempfile.mkdtemp(prefix="factory-bench-"))
    sources = installed_servers(home)
    results: dict[str, list[dict[str, float]]] = {name: [] for name in RUNS}
    try:
        for source in sources:
            source.start(home)
        database, queue = sources
        for number in range(rounds):
            for name in RUNS:
                print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
                results[name].append(measure(name, database.url(home), queue.url(home)))
    finally:
        for source in sources:
            source.stop(home)
        shutil.rmtree(home, ignore_errors=True)
    medians = {
        name: {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        for name, rows in results.items()
    }
    figures = report(medians)
    folder = Path(".bench")
    folder.mkdir(exist_ok=True)
    (folder / "engine.json").write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
