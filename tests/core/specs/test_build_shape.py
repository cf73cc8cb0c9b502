"""What shapes the build: constraints, phases, hints, the dialect of lists."""

from __future__ import annotations

import pytest

from factory_core.contracts.blueprint import PhaseOrder
from factory_core.specs.constraints import seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10 minutes", 600),
        ("4 hours", 14_400),
        ("90s", 90),
        ("1h 30m", 5_400),
        ("1 hour 30 minutes", 5_400),
        ("1.5 hours", 5_400),
        ("1 day", 86_400),
        ("10", None),
        ("soon", None),
        ("0 minutes", None),
        ("", None),
        ("5 minutes or so", None),
    ],
)
def test_a_duration_is_read(text: str, seconds: int | None):
    assert seconds_of(text) == seconds


def test_constraints_are_read(blueprint):
    found = blueprint(
        'constraints: {max_agents: 7, max_build_time: 1 hour, min_test_coverage: 85%, target_loc: "1,500-2000",'
        ' security_audit: mandatory, budget: "$5", house_style: brief}\n'
    )
    limits = found.constraints
    assert (limits.max_agents, limits.max_build_seconds, limits.min_test_coverage) == (7, 3600, 85)
    assert (limits.target_loc, limits.security_audit) == ((1500, 2000), True)
    assert limits.budget_nano_usd == 5_000_000_000
    assert [node.path for node in found.nodes if not node.part] == ["constraints.house_style"]


@pytest.mark.parametrize(
    "constraint",
    ["max_agents: 0", "max_agents: many", "max_build_time: 10", "min_test_coverage: 101", "target_loc: 9-1"],
)
def test_a_constraint_that_cannot_hold_is_an_error(complaints, constraint: str):
    assert complaints(f"constraints: {{{constraint}}}\n") == ["1:constraint"]


def test_phases_have_tasks_and_windows(blueprint):
    found = blueprint(
        """
        phases:
          first:               # 0-30 minutes
            parallel: [a: [], b: []]
          second:              # 1-2 hours
            sequential:
              - c: [first]
              - d
            blocking: false
          third: [e]
        """
    )
    first, second, third = found.phases
    assert (first.order, first.window_minutes, first.blocking) == (PhaseOrder.PARALLEL, (0, 30), True)
    assert (second.order, second.window_minutes, second.blocking) == (PhaseOrder.SEQUENTIAL, (60, 120), False)
    assert [(task.name, task.after) for task in second.tasks] == [("c", ("first",)), ("d", ())]
    assert [task.name for task in third.tasks] == ["e"]
    assert all(node.part for node in found.nodes)


@pytest.mark.parametrize(
    ("phases", "problem"),
    [
        ("{one: {parallel: [a: [b], b: [a]]}}", "circle"),
        ("{one: {parallel: [a: [one]]}}", "circle"),
        ("{one: {parallel: [a: [two]]}, two: {parallel: [b: []]}}", "circle"),
        ("{one: {sequential: [a: [b], b: []]}}", "circle"),
        ("{one: {parallel: [a: [bb]]}}", "unknown-name"),
        ("{one: {parallel: [a], sequential: [b]}}", "phase"),
    ],
)
def test_phases_that_cannot_start_are_an_error(complaints, phases: str, problem: str):
    assert complaints(f"phases: {phases}\n") == [f"1:{problem}"]


def test_comments_about_agents_are_hints_where_they_stand(blueprint):
    found = blueprint(
        """
        # Triggers 40% of agents
        frontend:                         # spawns a hierarchical team
          teams:
            - pages:                      # 15-20 agents
                views: ["a # 3 agents", b]  # 3 agents
            - plain                       # Spawns 4 validator agents
          # 7-9 integration agents

        entities:
          Agency: {name: text}            # 5 agents work here: data, no hint
        """
    )
    hints = {hint.path: (hint.low, hint.high, hint.percent) for hint in found.hints.agents}
    assert hints == {
        "frontend": (None, None, 40),
        "frontend#2": (None, None, None),
        "frontend.teams[0].pages": (15, 20, None),
        "frontend.teams[0].pages.views": (3, 3, None),
        "frontend.teams[1]#2": (4, 4, None),
        "frontend.teams[1]#3": (7, 9, None),
    }
    paths = [node.path for node in found.nodes]
    assert len(paths) == len(set(paths))
    assert [node.path for node in found.nodes if node.part == "hint"] == list(hints)


def test_agent_hints_are_read(blueprint):
    found = blueprint(
        """
        meta: {paradigm: swarm, orchestration_style: aggressive}
        agent_hints:
          resource_allocation: {frontend: 35%, backend: 30}   # ~70 agents
          preferred_agents: ["analyzer: deep", {builder: quick}]
          spawn_threshold_overrides: {builder: 0.5, tester: 1}
        special_instructions: {orchestration_style: [Start with swarm, Finish with hybrid]}
        """
    )
    hints = found.hints
    assert [(share.name, share.percent) for share in hints.shares] == [("frontend", 35), ("backend", 30)]
    assert hints.preferred_agents == {"analyzer": "deep", "builder": "quick"}
    assert hints.spawn_thresholds == {"builder": 0.5, "tester": 1.0}
    assert (hints.paradigm, hints.style) == ("swarm", "aggressive")
    assert hints.orchestration == ("Start with swarm", "Finish with hybrid")
    assert [(hint.low, hint.text) for hint in hints.agents] == [(None, "~70 agents")]


def test_the_seed_names_endpoints_in_its_own_way(blueprint):
    found = blueprint(
        """
        services:
          - clip_service:
              endpoints:
                - POST_create_clip: {validation: [length]}
                - GET_list_clips
                - GET_clip_details: []
                - GET_clip_logs: [sse]
                - GET_download_artifact: [zip]
                - DELETE_cancel_clip: [cleanup]
                - POST_create_song: []
                - POST /clips/{id}/publish: {sets: {title: x}}
                - version_control: [save]
          - channel_service: {endpoints: [CRUD_operations: [create, list]]}
        database: {tables: {clips: [id, title], channel: [name]}}
        """
    )
    assert [(one.method, one.path, one.call.value, one.name) for one in found.endpoints] == [
        ("POST", "/clips", "create", "POST_create_clip"),
        ("GET", "/clips", "list", "GET_list_clips"),
        ("GET", "/clips/{id}", "details", "GET_clip_details"),
        ("GET", "/clips/{id}/logs", "stub", "GET_clip_logs"),
        ("GET", "/builds/{id}/artifact", "stub", "GET_download_artifact"),
        ("POST", "/clips/{id}/cancel", "stub", "DELETE_cancel_clip"),
        ("POST", "/songs", "stub", "POST_create_song"),
        ("POST", "/clips/{id}/publish", "action", ""),
        ("POST", "/channels", "create", "CRUD_operations"),
        ("GET", "/channels", "list", "CRUD_operations"),
    ]
    lost = [node.path.rpartition(".")[2] for node in found.nodes if not node.part]
    logs = next(node for node in found.nodes if node.path.endswith("GET_clip_logs[0]"))
    assert logs.part == "endpoint:GET /clips/{id}/logs"
    assert lost == [
        "validation[0]",
        "version_control[0]",
    ]


def test_a_field_called_tables_is_a_field(blueprint):
    found = blueprint("entities: {Restaurant: {tables: int, technology: text, endpoints: text}}\n")
    assert [entity.name for entity in found.entities] == ["Restaurant"]
    assert found.technology == {}


def test_what_shapes_the_build_is_read(blueprint):
    found = blueprint(
        """
        team: {technology: [react: "18+", docker]}
        technology: {python: "3.11+", react: "18+"}
        deliverables:
          docs: [README.md: How to run it, {env: [.env.example with all variables, LICENSE]}]
          code: [files: ~200 files]
        success_metrics: {speed: ["Pages are quick"], tests: [unit]}
        quality_requirements: {code: [linting: "No warnings"]}
        do_not_build: [A chat]
        reference_implementations: {similar: [Some board], examples: {socket: {language: typescript}}}
        """
    )
    assert found.technology == {"python": "3.11+", "react": "18+", "docker": ""}
    assert found.deliverables == ("README.md", ".env.example", "LICENSE")
    assert found.do_not_build == ("A chat",)
    assert found.references == ("Some board", "language: typescript")
    assert {requirement.text for requirement in found.requirements} == {
        "Pages are quick",
        "tests: unit",
        "linting: No warnings",
        "README.md: How to run it",
        ".env.example with all variables",
        "env: LICENSE",
        "files: ~200 files",
    }
    assert all(node.part for node in found.nodes)
