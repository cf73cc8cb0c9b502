"""What the builds of a chaos run are made of, told by their names alone, and how they must end.

The worker plans from a build's name, the checks foresee from it, and nothing else is shared: the engine is in between.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from factory_core.builds.schemas import Completion, NewEdge, NewTask

QUIET = ("barrier", "coordinator", "merger")
DONE = "done"
STEPS = 3
"""Lines that a task writes on the board, one after another."""
ROUNDS = 3
AT_ONCE, SLOW, OVERDUE = 2.0, 1.5, 9.0
"""Seconds: the least that a timed task waits; the deadline of what may be late; how long it would take by itself."""
BROAD = {"wide": (120, 0, 30), "even": (190, 100, 100), "long": (24, 6000, 6000), "noop": (198, 0, 0)}
"""Kind -> how many tasks, and their shortest and longest time in milliseconds."""


def spec(name: str) -> str:
    """A specification the API accepts. Its project's name says what the workers do."""
    return f"project: {{name: {name}}}\nentities:\n  Card: {{title: text(1..200)}}\n"


def name_of(text: str) -> str:
    """The name in such a specification."""
    return text.partition("name: ")[2].partition("}")[0]


def names(seed: int, count: int, only: str = "") -> list[str]:
    """Builds of every kind, or of one; some specifications come twice, so that there is something to remember."""
    rng = random.Random(f"names {seed}")
    kinds = ["dag", "files", "mesh", "gate", "board", "halt", "timed", "over", "wide", "files"]
    kinds += ["mesh", "halt", "dag", "dag", "board", "dag", "dag", "dag"]
    kinds = [only] * count if only else kinds
    found = [f"{kind} {rng.randrange(1_000_000)}" for kind in kinds[:count]]
    while len(found) < count:
        again = [name for name in found if name.startswith("files")]
        kind = rng.choice(kinds)
        found.append(rng.choice(again) if kind == "files" and again else f"{kind} {rng.randrange(1_000_000)}")
    rng.shuffle(found)
    return found


def owners(seed: int, names: Sequence[str], whose: Sequence[str | None]) -> list[str | None]:
    """Whose build each is: of every kind some are of each, as far as there are enough."""
    rng = random.Random(f"owners {seed}")
    turns = {kind: rng.sample(whose, len(whose)) for kind in sorted({name.split()[0] for name in names})}
    found: list[str | None] = []
    for name in names:
        turn = turns[name.split()[0]]
        found.append(turn[0])
        turn.append(turn.pop(0))
    return found


def plan(name: str) -> Completion:
    """A layered graph: barriers and direct edges, optional and always-run tasks, and agents that misbehave."""
    if name.startswith("hold"):
        return Completion(tasks=(NewTask(id="t", agent="work", params=_holding(name)),))
    rng = random.Random(name)
    kind = name.split()[0]
    if kind in BROAD:
        return _broad(rng, *BROAD[kind])
    if kind in TALKING:
        return TALKING[kind](rng)
    layers = [_layer(rng, name, depth) for depth in range(rng.randint(2, 4))]
    tasks: list[NewTask] = []
    edges: list[NewEdge] = []
    for depth, layer in enumerate(layers):
        before = layers[depth - 1] if depth else []
        if before and rng.random() < 0.5:
            wall = NewTask(id=f"wall{depth}", agent="barrier")
            tasks.append(wall)
            edges += [NewEdge(task.id, wall.id) for task in before]
            before = [wall]
        tasks += layer
        for task in layer:
            some = rng.sample(before, rng.randint(1, len(before))) if before else []
            edges += [NewEdge(parent.id, task.id) for parent in some]
    end = NewTask(id="end", agent="work", always=rng.random() < 0.5, params={"do": "blob", "ms": "5"})
    edges += [NewEdge(task.id, end.id) for task in layers[-1]]
    return Completion(tasks=(*tasks, end), edges=tuple(edges), result={"name": name})


def _holding(name: str) -> dict[str, str]:
    return {"do": "hold", "seconds": name.split()[1], "children": "0"}


def _broad(rng: random.Random, count: int, least: int, most: int) -> Completion:
    """Tasks that many workers have at once."""
    params = [{"do": "noop", "ms": str(rng.randint(least, most)), "children": "0"} for _ in range(count)]
    tasks = [NewTask(id=f"t{n}", agent="work", params=each) for n, each in enumerate(params)]
    end = NewTask(id="end", agent="work", params=params[0])
    return Completion(tasks=(*tasks, end), edges=tuple(NewEdge(task.id, end.id) for task in tasks))


def _work(name: str, do: str, **more: object) -> NewTask:
    params = {key: str(value) for key, value in more.items()}
    return NewTask(id=name, agent="work", params={"do": do, "ms": "0", "children": "0", **params})


def _board(rng: random.Random) -> Completion:
    """Agents that write on one board at once, line by line."""
    writers = [_work(f"w{n}", "board", ms=rng.choice([20, 400, 900, 1500])) for n in range(rng.randint(3, 6))]
    return Completion(
        tasks=(*writers, _work("end", "noop")), edges=tuple(NewEdge(w.id, "end") for w in writers)
    )


def _mesh(rng: random.Random) -> Completion:
    """Peers that write to each other, round by round."""
    peers = rng.randint(3, 4)
    tasks: list[NewTask] = []
    edges: list[NewEdge] = []
    for turn in range(1, ROUNDS + 1):
        members = [
            _work(f"r{turn}p{n}", "mail", peer=n, round=turn, peers=peers, ms=rng.choice([0, 100, 300, 600]))
            for n in range(1, peers + 1)
        ]
        wall = NewTask(id=f"wall{turn}", agent="barrier")
        edges += [NewEdge(f"wall{turn - 1}", task.id) for task in members if turn > 1]
        edges += [NewEdge(task.id, wall.id) for task in members]
        tasks += [*members, wall]
    return Completion(tasks=tuple(tasks), edges=tuple(edges))


def _timed(rng: random.Random) -> Completion:
    """Tasks that begin when their time has come, and such as miss their deadline: at first, or for good."""
    waiting = [_work(f"at{n}", "noop") for n in range(rng.randint(2, 4))]
    tasks = [msgspec.structs.replace(task, delay=AT_ONCE + rng.random() * 2) for task in waiting]
    late = msgspec.structs.replace(_work("late", "late"), deadline_seconds=SLOW, max_tries=20)
    never = msgspec.structs.replace(
        _work("overdue", "overdue"), deadline_seconds=SLOW, max_tries=2, optional=True
    )
    before = [*tasks, late, never]
    return Completion(
        tasks=(*before, _work("end", "noop")), edges=tuple(NewEdge(t.id, "end") for t in before)
    )


TALKING = {"board": _board, "mesh": _mesh, "timed": _timed}


def letter(peer: int, turn: int, heard: str) -> str:
    """What a peer writes to each of the others in a round."""
    return f"{peer} in {turn} heard {heard}"


def listening(letters: Iterable[str]) -> str:
    """What a peer makes of the letters it was sent, in their order."""
    return hashlib.sha256("\n".join(letters).encode()).hexdigest()[:16]


def heard(name: str) -> dict[str, str]:
    """What each task of a mesh must have heard."""
    peers = int(plan(name).tasks[0].params["peers"])
    found: dict[str, str] = {}
    letters: dict[int, list[str]] = {peer: [] for peer in range(1, peers + 1)}
    for turn in range(1, ROUNDS + 1):
        said = {peer: listening(letters[peer]) for peer in letters}
        found |= {f"r{turn}p{peer}": text for peer, text in said.items()}
        letters = {
            peer: [letter(other, turn, said[other]) for other in said if other != peer] for peer in letters
        }
    return found


def _layer(rng: random.Random, name: str, depth: int) -> list[NewTask]:
    return [_task(rng, name, f"t{depth}-{number}") for number in range(rng.randint(2, 6))]


def _task(rng: random.Random, name: str, task: str) -> NewTask:
    over = name.startswith("over") and task == "t0-0"
    halts = name.startswith("halt") and task in ("t0-0", "t1-1")
    do = (
        "spawn"
        if over
        else "halt"
        if halts
        else rng.choice(["noop"] * 4 + ["blob"] * 3 + ["spawn", "crash", "fail", "park"])
    )
    # An agent that takes its time is at work when something strikes.
    ms = rng.choice([0, 5, 20, 60, 150, 400, 900, 1500, 2200])
    return NewTask(
        id=task,
        agent="work",
        optional=do == "fail" or rng.random() < 0.1,
        delay=0.3 if do == "park" else 0.0,
        params={"do": do, "ms": str(ms), "children": "500" if over else str(rng.randint(1, 4))},
    )


def children(task: str, params: dict[str, str]) -> tuple[NewTask, ...]:
    """What a task that spawns brings."""
    count = int(params["children"]) if params["do"] == "spawn" else 0
    more = {"do": "noop", "ms": params["ms"]}
    return tuple(NewTask(id=f"{task}/part/{n}", agent="work", joined=True, params=more) for n in range(count))


def foresee(name: str, max_agents: int) -> dict[str, str]:
    """How each task of an undisturbed build ends."""
    planned = plan(name)
    parents: dict[str, list[NewTask]] = {task.id: [] for task in planned.tasks}
    known = {task.id: task for task in planned.tasks}
    for edge in planned.edges:
        parents[edge.child].append(known[edge.parent])
    agents = sum(task.agent not in QUIET for task in planned.tasks)
    ends = {"plan": DONE}
    for task in planned.tasks:
        bad = any(ends[p.id] != DONE and (task.optional or not p.optional) for p in parents[task.id])
        ends[task.id] = "skipped" if bad and not task.always else _end(task, agents, max_agents)
        if ends[task.id] == DONE:
            ends |= {child.id: DONE for child in _born(task)}
    return ends


def _end(task: NewTask, agents: int, max_agents: int) -> str:
    do = task.params.get("do")
    too_many = do == "spawn" and agents + len(children(task.id, task.params)) > max_agents
    return "failed" if do in ("fail", "overdue") or too_many else DONE


def _born(task: NewTask) -> Iterator[NewTask]:
    if task.params.get("do") == "spawn":
        yield from children(task.id, task.params)
