from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from factory_core.contracts.blueprint import (
    AcceptanceCase,
    AgentHint,
    Blueprint,
    Constraints,
    CrudCall,
    Endpoint,
    Entity,
    Field,
    FieldKind,
    Hints,
    Node,
    Phase,
    PhaseOrder,
    PhaseTask,
    Project,
    Requirement,
    Step,
    TeamHint,
    View,
)
from factory_core.contracts.template import Manifest, TemplatePackage, ToolchainSpec, WorkSpec

WORKS = (
    WorkSpec(name="analysis", agent="analyzer", stage="analyse", team="design"),
    WorkSpec(
        name="acceptance", agent="tester", each="case", stage="test", team="testing", after=("analysis",)
    ),
    WorkSpec(name="skeleton", agent="builder", after=("acceptance",)),
    WorkSpec(name="models", agent="builder", each="entity", after=("skeleton",), seconds=0.2),
    WorkSpec(name="routes", agent="builder", each="entity", after=("models",), seconds=0.1),
    WorkSpec(name="actions", agent="builder", each="endpoint", after=("routes",)),
    WorkSpec(name="pages", agent="builder", each="view", team="frontend", after=("routes",)),
    WorkSpec(name="assembly", agent="integrator", stage="integrate", after=("actions", "pages")),
    WorkSpec(
        name="contracts", agent="tester", each="entity", stage="test", team="testing", after=("routes",)
    ),
    WorkSpec(
        name="gates",
        agent="validator",
        stage="verify",
        team="testing",
        after=("assembly", "contracts"),
        seconds=5,
    ),
    WorkSpec(name="tuning", agent="optimizer", stage="build", after=("gates",)),
    WorkSpec(
        name="handbook", agent="documenter", stage="document", team="documentation", after=("assembly",)
    ),
    WorkSpec(name="report", agent="harvester", stage="deliver", team="delivery", after=("gates",)),
)


@pytest.fixture
def template() -> TemplatePackage:
    """A small template with every kind of ``each`` and every stage but design."""
    manifest = Manifest(
        name="small", version="1", title="Small", toolchain=ToolchainSpec(lock="lock.txt"), work=WORKS
    )
    return TemplatePackage(manifest=manifest, root=Path("small"), digest="0" * 64)


@pytest.fixture
def make_template() -> Callable[..., TemplatePackage]:
    def make(*works: WorkSpec) -> TemplatePackage:
        manifest = Manifest(
            name="own", version="1", title="Own", toolchain=ToolchainSpec(lock="lock.txt"), work=works
        )
        return TemplatePackage(manifest=manifest, root=Path("own"), digest="1" * 64)

    return make


@pytest.fixture
def taskboard() -> Blueprint:
    """The example of spec_format.md, as far as a planner reads it."""
    board = Entity(name="Board", path="/boards", fields=(Field(name="title", kind=FieldKind.TEXT),))
    card = Entity(
        name="Card",
        path="/cards",
        line=7,
        fields=(
            Field(name="board", kind=FieldKind.REFERENCE, target="Board", line=8),
            Field(name="title", kind=FieldKind.TEXT),
            Field(name="labels", kind=FieldKind.MANY, target="Label"),
        ),
    )
    label = Entity(name="Label", path="/labels", fields=(Field(name="name", kind=FieldKind.TEXT),))
    return Blueprint(
        project=Project(name="Taskboard", slug="taskboard", line=2),
        entities=(board, card, label),
        endpoints=(
            Endpoint(
                method="POST",
                path="/cards/{id}/finish",
                call=CrudCall.ACTION,
                entity="Card",
                requirements=("R-2",),
            ),
            Endpoint(method="GET", path="/cards", call=CrudCall.LIST, entity="Card"),
        ),
        views=(View(name="Board view", lists="Card", group_by="status"),),
        requirements=(
            Requirement(id="R-1", text="A card belongs to one board.", by=("Card.board",)),
            Requirement(id="R-2", text="A finished card stays finished."),
        ),
        acceptance=(
            AcceptanceCase(
                name="A finished card stays finished!",
                requirements=("R-2",),
                steps=(Step(method="GET", path="/cards"),),
            ),
        ),
        constraints=Constraints(max_agents=40),
    )


@pytest.fixture
def crowded() -> Callable[..., Blueprint]:
    def make(entities: int, **changes: object) -> Blueprint:
        return Blueprint(
            project=Project(name="Crowd", slug="crowd"),
            entities=tuple(
                Entity(name=f"Thing{n}", path=f"/thing{n}s", fields=()) for n in range(1, entities + 1)
            ),
            **changes,  # type: ignore[arg-type]  # the tests name real fields
        )

    return make


def _phase(name: str, order: str, *tasks: str, blocking: bool = True) -> Phase:
    named = [task.partition("<") for task in tasks]
    return Phase(
        name=name,
        order=PhaseOrder(order),
        blocking=blocking,
        tasks=tuple(PhaseTask(name=task, after=tuple(after.split())) for task, _, after in named),
    )


@pytest.fixture
def phase() -> Callable[..., Phase]:
    """``phase("name", "parallel", "task<needed other")``."""
    return _phase


@pytest.fixture
def seed_phases() -> tuple[Phase, ...]:
    """The six phases of the first real document: 20 tasks, 7 of them waiting for a whole phase."""
    return (
        _phase(
            "phase_1_foundation",
            "parallel",
            "setup_project_structure",
            "setup_development_environment",
            "create_design_system",
        ),
        _phase(
            "phase_2_core_services",
            "parallel",
            "build_authentication_service<setup_project_structure",
            "build_database_layer<setup_project_structure",
            "build_api_gateway<setup_project_structure",
        ),
        _phase(
            "phase_3_features",
            "parallel",
            "build_frontend_views<create_design_system build_api_gateway",
            "build_build_service<build_database_layer build_api_gateway",
            "build_project_service<build_database_layer build_api_gateway",
            "build_analytics_service<build_database_layer",
        ),
        _phase(
            "phase_4_integration",
            "sequential",
            "integrate_frontend_backend<build_frontend_views build_build_service",
            "integrate_factory<build_build_service",
            "integrate_websocket<integrate_frontend_backend",
        ),
        _phase(
            "phase_5_quality",
            "parallel",
            "run_all_tests<phase_4_integration",
            "security_audit<phase_4_integration",
            "performance_testing<phase_4_integration",
            "generate_documentation<phase_4_integration",
        ),
        _phase(
            "phase_6_optimization",
            "parallel",
            "optimize_frontend<phase_5_quality",
            "optimize_backend<phase_5_quality",
            "optimize_database<phase_5_quality",
            blocking=False,
        ),
    )


@pytest.fixture
def seed_hints() -> Hints:
    """Hints that ask for 592 to 748 agents, beside five shares that stand for 200 more."""
    asked = [
        ("web.user_interface", 292, 348),
        ("services.build_service", 200, 300),
        ("platform.security", 100, 100),
    ]
    shares = {"frontend": 35, "backend": 30, "testing": 20, "devops": 10, "documentation": 5}
    return Hints(
        agents=(
            *(AgentHint(path=f"{path}#hint", text="", low=low, high=high) for path, low, high in asked),
            AgentHint(path="agent_hints.resource_allocation.frontend#hint", text="", low=70, high=70),
        ),
        shares=tuple(TeamHint(name=name, percent=percent) for name, percent in shares.items()),
        preferred_agents={"builder": "test_driven_development", "nobody": "x"},
        spawn_thresholds={"validator": 0.4, "nobody": 0.1},
        paradigm="hybrid",
    )


@pytest.fixture
def hint_nodes() -> tuple[Node, ...]:
    paths = [
        "meta.paradigm",
        "constraints.max_agents",
        "web.user_interface#hint",
        "agent_hints.resource_allocation.frontend",
        "agent_hints.preferred_agents[0]",
        "agent_hints.preferred_agents[1]",
        "agent_hints.spawn_threshold_overrides.validator",
        "agent_hints.spawn_threshold_overrides.nobody",
        "agent_hints.parallel_execution[0]",
    ]
    return tuple(Node(path=path, line=line, part="hint") for line, path in enumerate(paths, start=1))
