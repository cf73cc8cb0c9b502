"""What the journal should do, in plain Python, and what plans and ends of attempts there can be."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from factory_core.builds.schemas import Completion, CompletionKind, NewEdge, NewTask
from factory_core.contracts.plan import counts

DEPTH = 2
DEADLINE = 60.0
PATIENCE = 8.0
ENDED = {"done", "failed", "cancelled", "quarantined", "skipped"}


_names = st.sampled_from(["a", "b", "c", "d"])


@st.composite
def children(draw: Any, prefix: str, fewest: int) -> Completion:
    ids = draw(st.lists(_names, unique=True, min_size=fewest, max_size=4))
    tasks = tuple(
        NewTask(
            id=prefix + name,
            agent=draw(st.sampled_from(["noop", "noop", "noop", "barrier", "merger"])),
            optional=draw(st.sampled_from([False, False, False, True])),
            always=draw(st.sampled_from([False, False, True])),
            joined=draw(st.booleans()),
            delay=draw(st.sampled_from([0.0, 0.0, 0.0, 5.0])),
            deadline_seconds=DEADLINE,
            max_tries=draw(st.sampled_from([1, 2])),
        )
        for name in ids
    )
    pairs = [(x.id, y.id) for n, x in enumerate(tasks) for y in tasks[n + 1 :]]
    edges = [pair for pair in pairs if draw(st.booleans())]
    return Completion(result={"n": 1}, tasks=tasks, edges=tuple(NewEdge(*pair) for pair in edges))


@st.composite
def completions(draw: Any, parent: str) -> Completion:
    kind = draw(st.sampled_from(["done", "done", "done", "done", "failed", "retry", "park", "cancelled"]))
    if kind != "done":
        return Completion(kind=CompletionKind(kind), reason="why", delay=draw(st.sampled_from([0.0, 5.0])))
    if parent == "plan":
        return draw(children("", 1))
    done = draw(children(f"{parent}/", 0)) if draw(st.booleans()) else Completion(result={"n": 1})
    halt, risk = draw(st.sampled_from([("", ""), ("", ""), ("", ""), ("", ""), ("found", ""), ("", "found")]))
    return replace(done, halt=halt, risk=risk)


class Task:
    def __init__(
        self, new: NewTask, parents: set[str], depth: int, parent: str | None, run_at: float | None
    ) -> None:
        self.new, self.parents, self.depth, self.parent, self.run_at = new, parents, depth, parent, run_at
        self.state, self.fence, self.tries, self.crashes = "waiting", 0, 0, 0
        self.parked = 0.0
        self.worker: Any = None
        self.tick = self.deadline = 0.0
        self.accepted: int | None = None
        self.armed = False
        """Waits for its time alone; only the timers see that it has come."""

    def kind_of(self, done: Completion) -> str:
        """How the attempt ends: parking adds up, until it fails."""
        kind = str(done.kind)
        if kind == "park" and self.parked + done.delay > PATIENCE:
            return "failed"
        if kind in ("park", "retry"):
            self.parked = self.parked + max(done.delay, 0.1) if kind == "park" else 0.0
        return kind


class Build:
    def __init__(self, cap: int, at_once: int | None = None) -> None:
        self.cap, self.at_once = cap, at_once
        self.tasks: dict[str, Task] = {}
        self.events: Counter[tuple[str, str | None, int | None]] = Counter({("build.created", None, None): 1})
        self.agents, self.stop, self.state = 0, False, "queued"
        self.paused = False
        """A halt hides a pause."""
        self.filed: dict[int, Any] = {}
        """Events that were moved to files, by their numbers."""
        self.packed: list[tuple[str, str]] | None = None
        """All other rows, once they were moved to a file."""
        self.decided: bool | None = None
        """The answer to the last halt."""
        self.finders: set[str] = set()
        """Who halted it and was not approved."""
        self.retried: list[list[str] | None] = []
        """What was asked to be retried last, if anything was."""
        self.first_fence = 0
        plan = Task(NewTask(id="plan", agent="planner"), set(), 0, None, None)
        plan.state = "ready"
        self.tasks["plan"] = plan

    @property
    def open(self) -> bool:
        return self.state not in ("passed", "failed", "cancelled")

    @property
    def archived(self) -> bool:
        return not self.open and len(self.filed) == sum(self.events.values())

    @property
    def held(self) -> bool:
        return self.state in ("paused", "halted")

    def pace(self) -> str:
        plan = self.tasks["plan"]
        return "running" if plan.state == "done" else "planning" if plan.fence else "queued"

    def pause(self) -> str:
        """changed, same or refused, as the journal answers."""
        if self.state in ("queued", "planning", "running"):
            self.state = "paused"
            self.tell("build.paused")
            return "changed"
        return "same" if self.state == "paused" else "refused"

    def resume(self) -> str:
        if self.state == "paused":
            self.state = self.pace()
            self.tell("build.resumed")
            return "changed"
        return "same" if self.state in ("queued", "planning", "running") else "refused"

    def halt(self, task: str) -> bool:
        if not self.open or self.stop:
            return False
        self.paused = self.paused or self.state == "paused"
        self.state, self.decided = "halted", None
        self.finders.add(task)
        self.tell("build.halted", task)
        return True

    def decide(self, approve: bool) -> str:
        if self.state != "halted":
            return "same" if self.decided == approve else "refused"
        self.tell("build.decided")
        self.decided = approve
        if approve:
            self.finders.clear()
            self.state = "paused" if self.paused else self.pace()
            self.paused = False
            self.finish()
        else:
            self.cancel()
        return "changed"

    def retry(self, names: list[str] | None, now: float) -> str:
        if names and any(name not in self.tasks for name in names):
            return "missing"
        bad = {name for name, task in self.tasks.items() if task.state in ENDED - {"done"}}
        roots = bad if names is None else set(names) & (bad if self.open else set(self.tasks))
        roots |= self.above(roots) & bad
        if not self.open:
            roots |= self.finders & set(self.tasks)
        if self.state in ("passed", "stopping") or not roots:
            if self.state == "stopping":
                return "refused"
            if self.retried == [names]:
                return "same"
            if not self.open or names is None:
                return "refused"
            return "done" if any(self.tasks[name].state == "done" for name in names) else "same"
        self.tell("build.retried")
        self.retried = [names]
        self.rewind(roots)
        if not self.open:
            self.stop, self.state = False, self.pace()
        self.settle(now)
        self.finish()
        return "changed"

    def fork(self, name: str, now: float) -> Build:
        """The build that takes over what is done and does not follow from a task."""
        undone = {n for n, task in self.tasks.items() if task.state != "done"}
        again = self.below({name} | undone | self.finders & set(self.tasks))
        made = Build(self.cap, self.at_once)
        made.tasks.clear()
        for n, old in self.tasks.items():
            if old.parent in again:
                continue
            task = Task(old.new, set(old.parents), old.depth, old.parent, None)
            task.state = "waiting" if n in again else "done"
            made.tasks[n] = task
            made.agents += n != "plan" and counts(old.new.agent)
            if task.state == "done":
                made.tell("task.reused", n, 0)
        for task in made.tasks.values():
            task.parents &= set(made.tasks)
        made.state = made.pace()
        if made.state == "running":
            made.tell("build.planned", "plan")
        made.settle(now)
        made.finish()
        return made

    def above(self, names: set[str]) -> set[str]:
        found = set(names)
        while more := {p for name in found for p in self.tasks[name].parents} - found:
            found |= more
        return found

    def below(self, names: set[str]) -> set[str]:
        found = set(names)
        while more := {n for n, t in self.tasks.items() if t.parents & found or t.parent in found} - found:
            found |= more
        return found

    def rewind(self, roots: set[str]) -> None:
        again = self.below(roots)
        gone = {name for name in again if self.tasks[name].parent in again}
        for name in again:
            task = self.tasks[name]
            if name in gone:
                self.tell("task.removed", name, task.fence)
                self.agents -= counts(task.new.agent)
                self.first_fence = max(self.first_fence, task.fence)
            elif task.state not in ("waiting", "ready"):
                self.tell("task.reset", name, task.fence)
        for name in gone:
            del self.tasks[name]
        for task in self.tasks.values():
            task.parents -= gone
        for name in again - gone:
            task = self.tasks[name]
            task.state, task.tries, task.crashes, task.worker, task.run_at = "waiting", 0, 0, None, None
            task.parked = 0.0
            task.armed = False

    def cancel(self) -> None:
        if self.open and not self.stop:
            self.stop, self.state, self.paused = True, "stopping", False
            self.tell("build.stopping")
            for name, task in self.tasks.items():
                if task.state in ("waiting", "ready"):
                    self.end(name, "cancelled")
            self.finish()

    @property
    def running(self) -> int:
        return sum(task.state == "running" for task in self.tasks.values())

    @property
    def room(self) -> int:
        return len(self.tasks) if self.at_once is None else self.at_once - self.running

    def tell(self, kind: str, task: str | None = None, fence: int | None = None) -> None:
        self.events[kind, task, fence] += 1

    def end(self, name: str, state: str) -> None:
        task = self.tasks[name]
        task.state = state
        self.tell(f"task.{state}", name, task.fence)

    def settle(self, now: float, *, timers: bool = False) -> bool:
        """Whatever can be decided about waiting tasks is, until nothing moves. Whether the time of any had come."""
        moved, fired = True, False
        while moved:
            moved = False
            for name, task in self.tasks.items():
                if task.state != "waiting":
                    continue
                parents = [self.tasks[p] for p in task.parents]
                bad = any(
                    p.state in ENDED - {"done"} and (task.new.optional or not p.new.optional) for p in parents
                )
                if bad and not task.new.always:
                    self.end(name, "skipped")
                elif any(p.state not in ENDED for p in parents):
                    continue
                elif task.new.agent == "barrier":
                    self.end(name, "done")
                elif task.run_at is None or (task.run_at <= now and (timers or not task.armed)):
                    fired = fired or task.armed
                    task.state = "ready"
                else:
                    task.armed = True
                    continue
                moved = True
        return fired

    def finish(self) -> None:
        if self.open and self.state != "halted" and all(t.state in ENDED for t in self.tasks.values()):
            broken = any(t.state != "done" and not t.new.optional for t in self.tasks.values())
            self.state = "cancelled" if self.stop else "failed" if broken else "passed"
            self.tell("build.ended")

    def plant(self, parent: str, done: Completion, now: float) -> bool:
        agents = sum(counts(t.agent) for t in done.tasks)
        depth = self.tasks[parent].depth + 1
        if self.agents + agents > self.cap or depth > DEPTH or any(t.id in self.tasks for t in done.tasks):
            return False
        waiting = [t for t in self.tasks.values() if parent in t.parents and t.state == "waiting"]
        for new in done.tasks:
            parents = {e.parent for e in done.edges if e.child == new.id}
            task = Task(new, parents, depth, parent, now + new.delay if new.delay else None)
            task.fence = self.first_fence
            self.tasks[new.id] = task
            for heir in waiting if new.joined else ():
                heir.parents.add(new.id)
        self.agents += agents
        if parent == "plan":
            self.state = self.state if self.held else "running"
        self.tell("build.planned" if parent == "plan" else "build.grown", parent)
        return True

    def report(self, name: str, fence: int, done: Completion, now: float) -> bool:
        """Whether it is accepted; a second time for the same fence it is, and changes nothing."""
        task = self.tasks.get(name)
        if task is None or task.state != "running" or task.fence != fence:
            return task is not None and fence == task.accepted
        task.accepted = fence
        kind = task.kind_of(done)
        if not self.stop and kind == "done" and (done.tasks or done.halt):
            planted = not done.tasks or self.plant(name, done, now)
            kind = "done" if planted else "failed"
            if done.halt or (done.risk and not planted):
                self.halt(name)
        if self.stop:
            self.end(name, "cancelled")
        elif kind in ("done", "failed"):
            task.tries += kind == "failed"
            self.end(name, kind)
        elif kind == "retry":
            task.tries += 1
            if task.tries >= task.new.max_tries:
                self.end(name, "failed")
            else:
                self.tell("task.retrying", name, fence)
                task.run_at = now + done.delay if done.delay else None
                task.armed = True
                task.state = "waiting" if done.delay else "ready"
        elif kind == "park":
            self.tell("task.parked", name, fence)
            task.run_at = now + done.delay if done.delay else None
            task.armed = True
            task.state = "waiting" if done.delay else "ready"
        else:
            self.tell("task.lease_lost", name, fence)
            task.state = "ready"
        return True

    def lose(self, name: str, *, died: bool) -> None:
        task = self.tasks[name]
        task.crashes += died
        if self.stop:
            self.end(name, "cancelled")
        elif died and task.crashes >= 3:
            self.end(name, "quarantined")
        else:
            self.tell("task.lease_lost", name, task.fence)
            task.state = "ready"
