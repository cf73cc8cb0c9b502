"""What holds for every blueprint and every manifest."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_core.contracts.blueprint import (
    AcceptanceCase,
    AgentHint,
    Blueprint,
    Constraints,
    CrudCall,
    Endpoint,
    Entity,
    Hints,
    Phase,
    PhaseOrder,
    PhaseTask,
    Project,
    TeamHint,
    View,
)
from factory_core.contracts.plan import Plan
from factory_core.contracts.template import Manifest, TemplatePackage, ToolchainSpec, WorkSpec
from factory_core.planning import HierarchicalPlanner, PlanError
from factory_core.planning.show import to_dot, to_json

PHASE_WORDS = ["core_api", "features", "quality_tests", "setup", "integration", "optimization", "zeta"]
STAGES = ["analyse", "design", "build", "test", "integrate", "verify", "document"]
names = st.sampled_from(
    ["Card", "Board", "User", "Order", "class", "Label", "Ümlaut", "A b", "a-b", "1-of-2"]
)


@st.composite
def manifests(draw: st.DrawFn) -> TemplatePackage:
    count = draw(st.integers(1, 8))
    works = [
        WorkSpec(
            name=f"work{n}",
            agent=draw(st.sampled_from(["builder", "tester", "optimizer", "validator"])),
            each=draw(st.sampled_from(["project", "entity", "endpoint", "view", "case"])),
            team=draw(st.sampled_from(["backend", "frontend", "testing"])),
            stage=draw(st.sampled_from(STAGES)),
            after=tuple(
                draw(st.lists(st.sampled_from([f"work{m}" for m in range(n)]), unique=True)) if n else ()
            ),
            seconds=draw(st.floats(0, 10)),
        )
        for n in range(count)
    ]
    works.append(WorkSpec(name="report", agent="harvester", stage="deliver"))
    manifest = Manifest(
        name="any", version="1", title="", toolchain=ToolchainSpec(lock="l"), work=tuple(works)
    )
    return TemplatePackage(manifest=manifest, root=Path("x"), digest="0")


@st.composite
def phases(draw: st.DrawFn) -> tuple[Phase, ...]:
    chosen = draw(st.lists(st.sampled_from(PHASE_WORDS), unique=True, max_size=5))
    tasks = [f"{word}{n}" for n, word in enumerate(PHASE_WORDS)]
    return tuple(
        Phase(
            name=name,
            order=draw(st.sampled_from(PhaseOrder)),
            blocking=draw(st.booleans()),
            tasks=tuple(
                PhaseTask(
                    name=task, after=tuple(draw(st.lists(st.sampled_from(tasks + PHASE_WORDS), max_size=2)))
                )
                for task in draw(st.lists(st.sampled_from(tasks), unique=True, max_size=3))
            ),
        )
        for name in chosen
    )


@st.composite
def blueprints(draw: st.DrawFn) -> Blueprint:
    entities = draw(st.lists(names, unique=True, max_size=10))
    hints = draw(
        st.lists(st.tuples(st.sampled_from(["a.b", "c.b", "d[0].e"]), st.integers(1, 300)), max_size=4)
    )
    return Blueprint(
        project=Project(name="Any", slug="any"),
        entities=tuple(Entity(name=name, path=f"/{n}", fields=()) for n, name in enumerate(entities)),
        endpoints=tuple(
            Endpoint(method="POST", path=path, call=CrudCall.STUB)
            for path in draw(st.lists(st.sampled_from(["/a", "/b/{id}", "/c/x"]), unique=True))
        ),
        views=tuple(View(name=name, lists=name) for name in draw(st.lists(names, unique=True, max_size=4))),
        acceptance=tuple(
            AcceptanceCase(name=name, steps=()) for name in draw(st.lists(st.text(), unique=True, max_size=4))
        ),
        phases=draw(phases()),
        hints=Hints(
            agents=tuple(AgentHint(path=path, text="", low=high // 2, high=high) for path, high in hints),
            shares=tuple(
                TeamHint(name=name, percent=percent) for name, percent in [("backend", 60), ("x", 70)]
            ),
            spawn_thresholds={"tester": draw(st.floats(0, 1))},
        ),
        constraints=Constraints(max_agents=draw(st.integers(5, 60))),
    )


def plan_or_none(blueprint: Blueprint, template: TemplatePackage) -> Plan | None:
    try:
        return HierarchicalPlanner().plan(blueprint, template)
    except PlanError:
        return None


def nodes_by_work(blueprint: Blueprint) -> dict[str, list[str]]:
    return {
        "entity": [entity.name for entity in blueprint.entities],
        "endpoint": [f"{item.method} {item.path}" for item in blueprint.endpoints],
        "view": [view.name for view in blueprint.views],
        "case": [case.name for case in blueprint.acceptance],
    }


@given(blueprints(), manifests())
@settings(max_examples=150, deadline=None)
def test_a_plan_is_sound(blueprint: Blueprint, template: TemplatePackage) -> None:
    plan = plan_or_none(blueprint, template)
    if plan is None:
        return
    seen: set[str] = set()
    for task in plan.tasks:
        assert set(task.after) <= seen, "topologically ordered, and so without cycles"
        assert task.id not in seen, "ids are unique"
        seen.add(task.id)
    working = [task for task in plan.tasks if task.agent not in ("barrier", "coordinator")]
    assert len(working) == plan.quote.agents <= blueprint.constraints.max_agents
    assert all(task.seconds == 0 for task in plan.tasks if task not in working)
    expected = nodes_by_work(blueprint)
    for work in template.manifest.work:
        tasks = [task for task in working if task.params["work"] == work.name]
        covered = [node for task in tasks for node in json.loads(task.params["nodes"])]
        assert covered == expected.get(work.each, [])
        assert len(tasks) == 1 or work.each != "project"
    assert sum(team.agents for team in plan.teams if team.asked_high) <= blueprint.constraints.max_agents
    assert sum(team.agents for team in plan.teams if team.percent) <= blueprint.constraints.max_agents
    needed = {earlier for task in working if not (task.optional or task.always) for earlier in task.after}
    assert not [task.id for task in working if task.optional and task.id in needed]


@given(blueprints(), manifests())
@settings(max_examples=50, deadline=None)
def test_equal_input_gives_equal_bytes(blueprint: Blueprint, template: TemplatePackage) -> None:
    again = msgspec.json.decode(msgspec.json.encode(blueprint), type=Blueprint)
    plan, other = plan_or_none(blueprint, template), plan_or_none(again, template)
    assert msgspec.json.encode(plan) == msgspec.json.encode(other)


@given(blueprints(), manifests())
@settings(max_examples=50, deadline=None)
def test_the_order_of_the_work_is_kept(blueprint: Blueprint, template: TemplatePackage) -> None:
    plan = plan_or_none(blueprint, template)
    if plan is None:
        return
    above: dict[str, set[str]] = {}
    of_work: dict[str, list[tuple[str, set[str]]]] = {}
    for task in plan.tasks:
        above[task.id] = set(task.after).union(*(above[earlier] for earlier in task.after))
        of_work.setdefault(task.params.get("work", ""), []).append(
            (task.id, set(json.loads(task.params.get("nodes", "[]"))))
        )
    by_name = {work.name: work for work in template.manifest.work}
    for work in template.manifest.work:
        for name in work.after:
            same = work.each == by_name[name].each != "project"
            for later, nodes in of_work.get(work.name, []):
                for earlier, others in of_work.get(name, []):
                    if not same or nodes & others:
                        assert earlier in above[later]


@given(blueprints(), manifests())
@settings(max_examples=50, deadline=None)
def test_every_face_of_a_plan_can_be_drawn(blueprint: Blueprint, template: TemplatePackage) -> None:
    plan = plan_or_none(blueprint, template)
    if plan is None:
        return
    dot = to_dot(plan)
    assert all(re.fullmatch(r'(?:[^"]|"(?:[^"\\]|\\.)*")*', line) for line in dot.splitlines()), (
        "strings end where they should"
    )
    assert json.loads(json.dumps(to_json(plan)))["quote"]["agents"] == plan.quote.agents
