"""Who gets the slots while one floods: real worker processes. Part of ``make bench``; ``fairness.py [SECONDS]``.

Three organisations of weights 1, 3 and 10 have work all the time, a fourth of weight 1 orders 20,000 tasks at once, and
half way a fifth comes. Slots are counted in seconds of slots, from the journal's own times. Writes ``.bench/fairness.json``
and fails when a share is more than a tenth off its weight, or the newcomer waits for more than a second.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path

from fleet import Fleet
from loading import HERE, flat, load

from factory_core.builds.ids import uuid7
from factory_core.builds.shares import OrganisationShare
from factory_core.testing.boot import installed_servers

WEIGHTS = {"light": 1, "middle": 3, "heavy": 10, "flood": 1}
BUILD, SLEEP = 250, 0.1
WORKERS, SLOTS = 2, 20
FLOOD = 20_000
USED = """
    select o.name, coalesce(extract(epoch from sum(least(coalesce(t.ended_at, $1), $1) - t.started_at)), 0)::float as seconds
    from organisation o left join task t on t.org_id = o.id and t.agent = 'sleep' and t.started_at < $1
    where o.name = any ($2) group by o.name"""
WAITED = """
    select extract(epoch from min(t.started_at) - min(b.created_at))::float
    from build b join task t on t.build_id = b.id where b.org_id = $1 and t.agent = 'sleep'"""


async def order(fleet: Fleet, name: str, weight: int, tasks: int) -> object:
    """An organisation with that many tasks to do."""
    org = uuid7()
    await fleet.journal.found(org, name)
    await fleet.journal.shares.give(org, OrganisationShare(weight=weight))
    plan, edges = flat(BUILD, params={"seconds": str(SLEEP)}, agent="sleep")
    await load(fleet.journal, fleet.connection, [(plan, edges)] * -(-tasks // BUILD), org)
    return org


async def run(database: str, redis: str, seconds: float) -> dict[str, float]:
    """The figures."""
    most = int(WORKERS * SLOTS * seconds / SLEEP)
    async with Fleet(database, redis, WORKERS, slots=SLOTS) as fleet:
        for name, weight in WEIGHTS.items():
            tasks = FLOOD if name == "flood" else most * weight // sum(WEIGHTS.values()) + 2 * BUILD
            await order(fleet, name, weight, tasks)
        # Loading ran the builds' plans, which counts as use, and the flood has most builds: they start level.
        await fleet.connection.execute("delete from usage; update organisation set vt = 0")
        await fleet.hire()
        await fleet.wake()
        await asyncio.sleep(seconds / 2)
        late = await order(fleet, "late", 1, BUILD)
        await fleet.wake()
        await asyncio.sleep(seconds / 2)
        now = await fleet.connection.fetchval("select factory_now()")
        rows = await fleet.connection.fetch(USED, now, list(WEIGHTS))
        waited = await fleet.connection.fetchval(WAITED, late)
    used = {row["name"]: row["seconds"] for row in rows}
    total = sum(used.values())
    figures = {f"share.{name}": used[name] / total for name in WEIGHTS}
    figures |= {
        f"off.{name}": abs(used[name] / total * sum(WEIGHTS.values()) / weight - 1)
        for name, weight in WEIGHTS.items()
    }
    return figures | {"newcomer.seconds": waited}


def main() -> None:
    """Measure, print, judge."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    home = Path(tempfile.mkdtemp(prefix="factory-fairness-"))
    sources = installed_servers(home)
    try:
        for source in sources:
            source.start(home)
        figures = asyncio.run(run(sources[0].url(home), sources[1].url(home), seconds))
    finally:
        for source in sources:
            source.stop(home)
        shutil.rmtree(home, ignore_errors=True)
    for name, value in figures.items():
        print(f"{'fairness.' + name:36} {value:10.3f}")
    folder = HERE.parents[1] / ".bench"
    folder.mkdir(exist_ok=True)
    (folder / "fairness.json").write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
    off = [name for name in WEIGHTS if figures[f"off.{name}"] > 0.1]
    if off or figures["newcomer.seconds"] > 1:
        raise SystemExit(f"MISSED: {', '.join(off) or 'the newcomer waited'}")


if __name__ == "__main__":
    main()
