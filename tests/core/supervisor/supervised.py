"""What the supervisors of these tests run: the installed servers and a dummy worker. Settings come from ``plan.json``."""

import json
import sys
from pathlib import Path

from factory_core.errors import ServerStartError
from factory_core.kernel.supervisor import Supervision
from factory_core.kernel.supervisor_children import ChildProcess
from factory_core.testing.boot import installed_servers

# Says that it lives, and has a child of its own, which it ends with itself when it is asked to, as web servers do.
WORKER = """
import pathlib, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
def end(*signal):
    child.kill()
    raise SystemExit(0)
signal.signal(signal.SIGTERM, end)
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(1000)
"""
DEAF = WORKER.replace("signal.SIGTERM, end", "signal.SIGTERM, signal.SIG_IGN")


def supervision(home: Path) -> Supervision:
    plan = json.loads((home / "plan.json").read_text())

    def prepare() -> None:
        with (home / "prepared").open("a") as file:
            file.write("once\n")
        if plan.get("fail"):
            raise ServerStartError(plan["fail"])

    code = {"worker": WORKER, "deaf": DEAF, "broken": "raise SystemExit('the worker is broken')"}[
        plan.get("worker", "worker")
    ]
    sign = home / "worker.child"
    worker = ChildProcess(
        name="worker",
        command=(sys.executable, "-c", code, str(sign)),
        ready=lambda: sign.exists() and sign.read_text() != "",
    )
    return Supervision(
        servers=installed_servers(home) if plan.get("servers", True) else (),
        prepare=prepare,
        processes=(worker,),
        busy=lambda: (home / "busy").exists(),
        idle_seconds=plan.get("idle", 60.0),
    )
