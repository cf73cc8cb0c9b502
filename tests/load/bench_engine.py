"""The engine beside its peers: same servers, interleaved rounds, one run. ``python tests/load/bench_engine.py [ROUNDS]``.

Prints medians and ratios, and writes ``.bench/engine.json`` and ``docs/reference/performance.md``; then fails if a bar is
missed. Needs dependency group ``bench``.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import asyncpg
from loading import HERE, fresh
from redis import Redis
from report import medians, missed, page, show

from factory_core.testing.boot import installed_servers

PAGE = HERE.parents[1] / "docs/reference/performance.md"
RUNS = {
    "ours": HERE / "ours.py",
    "fleet": HERE / "fleet.py",
    "arq": HERE / "peers" / "arq_peer.py",
    "procrastinate": HERE / "peers" / "procrastinate_peer.py",
    "dbos": HERE / "peers" / "dbos_peer.py",
}


def measure(name: str, database_url: str, queue_url: str) -> dict[str, float]:
    """One round of one of them: its figures."""
    urls = [queue_url] if name == "arq" else [asyncio.run(fresh(database_url, f"bench_{name}"))]
    if name in ("ours", "fleet"):
        urls.append(queue_url)
    script = RUNS[name]
    ran = subprocess.run([sys.executable, str(script), *urls], capture_output=True, text=True, timeout=300)
    if ran.returncode:
        raise SystemExit(f"{script.name} failed:\n{ran.stderr[-3000:]}")
    return json.loads(ran.stdout.strip().splitlines()[-1])


async def servers(database_url: str, queue_url: str) -> list[str]:
    """Their versions."""
    connection = await asyncpg.connect(database_url)
    database = await connection.fetchval("show server_version")
    await connection.close()
    facts = Redis.from_url(queue_url).info("server")
    queue = facts.get("valkey_version")
    return [f"PostgreSQL {database}", f"Valkey {queue}" if queue else f"Redis {facts['redis_version']}"]


def main() -> None:
    """All rounds."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    home = Path(tempfile.mkdtemp(prefix="factory-bench-"))
    sources = installed_servers(home)
    results: dict[str, list[dict[str, float]]] = {name: [] for name in RUNS}
    try:
        for source in sources:
            source.start(home)
        urls = [source.url(home) for source in sources]
        names = asyncio.run(servers(*urls))
        for number in range(rounds):
            for name in RUNS:
                print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
                results[name].append(measure(name, *urls))
    finally:
        for source in sources:
            source.stop(home)
        shutil.rmtree(home, ignore_errors=True)
    middle = medians(results)
    figures = show(middle)
    folder = HERE.parents[1] / ".bench"
    folder.mkdir(exist_ok=True)
    (folder / "engine.json").write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
    PAGE.write_text(page(results, f"python tests/load/bench_engine.py {rounds}", names))
    if bad := missed(middle):
        raise SystemExit(f"MISSED: {'; '.join(bad)}")


if __name__ == "__main__":
    main()
