"""A worker in a process of its own, to be killed. ``worker_process.py DATABASE QUEUE LEDGER [CRASHPOINT]``

Each run of an agent appends its build, task and fence to the ledger. Agent ``planner`` plans two layers of four tasks and
an end; the others write a blob of their own.
"""

import asyncio
import sys
from pathlib import Path

from factory_core.builds.crashpoints import CrashPoints
from factory_core.builds.journal import Completion, NewEdge, NewTask
from factory_core.builds.loop import Pace
from factory_core.kernel.worker import WorkerOrder, run_worker

database, queue, ledger, *crashpoint = sys.argv[1:]
crash = CrashPoints(*crashpoint)


def plan() -> Completion:
    first = [NewTask(id=f"a{n}", agent="noop") for n in range(4)]
    second = [NewTask(id=f"b{n}", agent="noop") for n in range(4)]
    barrier, end = NewTask(id="layer", agent="barrier"), NewTask(id="end", agent="noop")
    edges = (
        [(t.id, "layer") for t in first] + [("layer", t.id) for t in second] + [(t.id, "end") for t in second]
    )
    return Completion(tasks=(*first, barrier, *second, end), edges=tuple(NewEdge(*edge) for edge in edges))


class Runner:
    async def run(self, assignment):
        with Path(ledger).open("a") as file:  # noqa: ASYNC230 - must be written before anything can kill us
            file.write(f"{assignment.build} {assignment.task} {assignment.fence}\n")
        if assignment.agent == "planner":
            return plan()
        crash.reach("before_blob")
        await asyncio.to_thread(Path(f"{ledger}.{assignment.task}").write_text, assignment.task)
        crash.reach("after_blob")
        await asyncio.sleep(0.01)
        return Completion(result={"blob": assignment.task})


order = WorkerOrder(
    database_url=database,
    queue_url=queue or None,
    slots=3,
    pace=Pace(ttl=1.0, poll=0.05, check=0.1, grace=2.0),
    arq_poll=0.05,
)
asyncio.run(run_worker(order, Runner(), crash=crash))
