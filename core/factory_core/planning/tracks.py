"""Tracks: a pass over a finished plan, whoever planned it, that gives every region of it a branch and a merge.

The tasks of a track are its steps. After them stands its merge; merges stand one after another, so that main grows in a
straight line, and before whatever checks or packs the whole.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from factory_core.contracts.blueprint import Blueprint
from factory_core.contracts.plan import BARRIER, MERGER, QUIET, Plan, PlannedTask, Planner, Track
from factory_core.contracts.template import Manifest, TemplatePackage, WorkSpec

from .graph import critical_path
from .quote import make_quote
from .slugs import slug

__all__ = ["branch_name", "lay_tracks", "plan_build"]

MERGE_SECONDS = 0.3
"""What checking and merging a track usually takes."""
_JOINT = "integrate"
_AFTER_MERGES = frozenset({"integrate", "verify", "deliver"})
"""Stages that work on the whole project."""
ID_DIGITS = 8


class _Ground(Struct, frozen=True):
    """A plan, ready to be asked."""

    tasks: dict[str, PlannedTask]
    works: dict[str, WorkSpec]
    above: dict[str, frozenset[str]]

    def stage(self, task: PlannedTask) -> str:
        """The stage of the task's work; empty for barriers and coordinators."""
        work = self.works.get(task.params.get("work", ""))
        return work.stage if work is not None else ""


def plan_build(
    planner: Planner, blueprint: Blueprint, template: TemplatePackage, *, max_agents: int | None = None
) -> Plan:
    """The plan a build follows: the planner's, with tracks. Raises PlanError."""
    plan = planner.plan(blueprint, template, max_agents=max_agents)
    return lay_tracks(plan, blueprint, template.manifest)


def lay_tracks(plan: Plan, blueprint: Blueprint, manifest: Manifest) -> Plan:
    """The same tasks in the same order, and a merge for each track. A plan that makes no files stays as it is."""
    ground = _survey(plan, manifest)
    joint = next((task for task in plan.tasks if ground.stage(task) == _JOINT), None)
    members = [task for task in plan.tasks if _belongs(task, joint, ground)]
    grouped = _grouped(members, manifest)
    if not grouped:
        return plan
    named = {slug(spec.name): spec.title for spec in manifest.tracks}
    identity = _identity(blueprint)
    tracks = tuple(
        _track(name, named.get(name, ""), steps, blueprint, identity) for name, steps in grouped.items()
    )
    tasks = _in_order(
        [*_waiting(plan, joint, tracks[-1], ground), *_merges(tracks, joint, ground)], plan.tasks
    )
    return replace(
        plan,
        tasks=tasks,
        phases=tuple(dict.fromkeys(task.phase for task in tasks)),
        critical_path=critical_path(tasks),
        quote=replace(make_quote(tasks), nano_usd=plan.quote.nano_usd),
        tracks=tracks,
    )


def branch_name(track: str, owner: str, identity: str) -> str:
    """``feat/<track>/<owner>/<id>``. A track's name is of letters, digits and hyphens alone."""
    return f"feat/{track}/{slug(owner)}/{identity}"


def _identity(blueprint: Blueprint) -> str:
    return hashlib.sha256(msgspec.json.encode(blueprint, order="sorted")).hexdigest()[:ID_DIGITS]


def _survey(plan: Plan, manifest: Manifest) -> _Ground:
    above: dict[str, frozenset[str]] = {}
    for task in plan.tasks:
        above[task.id] = frozenset(task.after).union(*(above[parent] for parent in task.after))
    return _Ground(
        tasks={task.id: task for task in plan.tasks},
        works={work.name: work for work in manifest.work},
        above=above,
    )


def _belongs(task: PlannedTask, joint: PlannedTask | None, ground: _Ground) -> bool:
    """Whether the task is a step: it makes files, and nothing that works on the whole stands before it."""
    work = ground.works.get(task.params.get("work", ""))
    if work is None or not work.files or work.stage in _AFTER_MERGES:
        return False
    if joint is not None:
        return task.id in ground.above[joint.id]
    return not any(ground.stage(ground.tasks[other]) in _AFTER_MERGES for other in ground.above[task.id])


def _grouped(members: Sequence[PlannedTask], manifest: Manifest) -> dict[str, tuple[PlannedTask, ...]]:
    """Tracks with steps, in the manifest's order; works in no track follow under their team."""
    teams = {work.name: work.team for work in manifest.work}
    listed = {work: spec.name for spec in manifest.tracks for work in spec.works}
    groups: dict[str, list[PlannedTask]] = {slug(spec.name): [] for spec in manifest.tracks}
    for work in manifest.work:
        for task in members:
            if task.params["work"] == work.name:
                groups.setdefault(slug(listed.get(work.name, teams[work.name])), []).append(task)
    places = {task.id: number for number, task in enumerate(members)}
    return {
        name: tuple(sorted(steps, key=lambda step: places[step.id]))
        for name, steps in groups.items()
        if steps
    }


def _track(
    name: str, title: str, steps: tuple[PlannedTask, ...], blueprint: Blueprint, identity: str
) -> Track:
    owner = Counter(step.team for step in steps).most_common(1)[0][0]
    covered = {known for step in steps for known in step.requirements}
    covering = {name for item in blueprint.requirements if item.id in covered for name in item.by}
    return Track(
        name=name,
        title=title or name.replace("-", " ").capitalize(),
        branch=branch_name(name, owner, identity),
        owner=owner,
        merge=f"merge/{name}",
        steps=tuple(step.id for step in steps),
        requirements=tuple(item.id for item in blueprint.requirements if item.id in covered),
        cases=tuple(
            case.name
            for case in blueprint.acceptance
            if case.name in covering or covered & {*case.requirements}
        ),
    )


def _merges(tracks: Sequence[Track], joint: PlannedTask | None, ground: _Ground) -> list[PlannedTask]:
    merges: list[PlannedTask] = []
    for number, track in enumerate(tracks):
        before = [tracks[number - 1].merge] if number else []
        shared = [] if joint is None else _of_phase(joint, ground)
        params = {"track": track.name}
        if joint is not None:
            params["checker"] = joint.agent
        merges.append(
            PlannedTask(
                id=track.merge,
                agent=MERGER,
                title=f"Check and merge {track.title}",
                team=track.owner,
                phase=joint.phase if joint is not None else _JOINT,
                after=tuple(dict.fromkeys([*shared, *track.steps, *before])),
                params=params,
                requirements=track.requirements,
                seconds=MERGE_SECONDS,
                optional=joint is not None and joint.optional,
            )
        )
    return merges


def _of_phase(joint: PlannedTask, ground: _Ground) -> list[str]:
    """What starts the phase of the joint: its merges belong to the same phase."""
    return [
        other
        for other in joint.after
        if ground.tasks[other].agent in QUIET
        and ground.tasks[other].phase == joint.phase
        and ground.tasks[other].id.startswith(f"{BARRIER}/")
    ]


def _waiting(plan: Plan, joint: PlannedTask | None, last: Track, ground: _Ground) -> Iterable[PlannedTask]:
    """The planned tasks; what works on the whole waits for the last merge."""
    for task in plan.tasks:
        stage = ground.stage(task)
        whole = task is joint or (joint is None and stage in _AFTER_MERGES) or stage == "deliver"
        yield replace(task, after=(*task.after, last.merge)) if whole else task


def _in_order(tasks: Iterable[PlannedTask], planned: Sequence[PlannedTask]) -> tuple[PlannedTask, ...]:
    """Topological, the planned tasks in their old order as far as it allows, with priorities for the new graph."""
    by_name = {task.id: task for task in tasks}
    places = {task.id: number for number, task in enumerate(planned)}
    # A merge comes as soon as its last step has come.
    for name, task in by_name.items():
        if name not in places:
            places[name] = max(places[earlier] for earlier in task.after)
    waiting = {name: len(task.after) for name, task in by_name.items()}
    later: dict[str, list[str]] = {}
    for name, task in by_name.items():
        for earlier in task.after:
            later.setdefault(earlier, []).append(name)
    ready = [(places[name], name) for name, count in waiting.items() if not count]
    heapify(ready)
    order: list[str] = []
    while ready:
        _, name = heappop(ready)
        order.append(name)
        for other in later.get(name, ()):
            waiting[other] -= 1
            if not waiting[other]:
                heappush(ready, (places[other], other))
    return _with_priorities([by_name[name] for name in order], planned)


def _with_priorities(tasks: Sequence[PlannedTask], planned: Sequence[PlannedTask]) -> tuple[PlannedTask, ...]:
    """What a planner added to the length of the path stays added."""
    before, now = _rest(planned), _rest(tasks)
    bumps = {task.id: task.priority - round(before[task.id] * 1000) for task in planned}
    return tuple(replace(task, priority=bumps.get(task.id, 0) + round(now[task.id] * 1000)) for task in tasks)


def _rest(tasks: Sequence[PlannedTask]) -> Mapping[str, float]:
    """The longest path from the start of each task to the end, in seconds."""
    left: dict[str, float] = {}
    for task in reversed(tasks):
        left[task.id] = left.get(task.id, 0.0) + task.seconds
        for earlier in task.after:
            left[earlier] = max(left.get(earlier, 0.0), left[task.id])
    return left
