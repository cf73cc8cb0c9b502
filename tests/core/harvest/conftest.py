from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from factory_core.builds.harvest import Contribution, Evidence
from factory_core.contracts.agent import CaseResult, GateResult
from factory_core.contracts.blueprint import (
    AcceptanceCase,
    Blueprint,
    CrudCall,
    Endpoint,
    Entity,
    Field,
    FieldKind,
    Project,
    Requirement,
    View,
)
from factory_core.contracts.files import Produced
from factory_core.contracts.template import Manifest, TemplatePackage, ToolchainSpec, WorkSpec
from factory_core.planning import HierarchicalPlanner


def _made(producer: str, *paths: str, title: str = "", content: bytes | None = None) -> Contribution:
    return Contribution(
        producer=producer,
        title=title or f"Make {producer}",
        files=tuple(
            Produced(
                path=path,
                content=f"{path}\n".encode(errors="replace") if content is None else content,
                executable=path.endswith(".sh"),
            )
            for path in paths
        ),
    )


@pytest.fixture
def made() -> Callable[..., Contribution]:
    """``made("models/Card", "app/card.py")``: a task with files whose content is their path."""
    return _made


@pytest.fixture
def contributions() -> tuple[Contribution, ...]:
    return (
        _made("skeleton", "README.md", ".gitignore", "scripts/run.sh", title="Lay out the project"),
        _made("models/Card", "app/models/card.py", "app/models.py"),
        _made("empty"),
        _made("models/Straße", "app/models/straße.py", "app-x/z", "a"),
    )


PASSED = (
    GateResult(name="contract tests", passed=True, figure="21 tests"),
    GateResult(name="coverage", passed=True, figure="91.4 %", limit=">= 85 %"),
)
CASES = (
    CaseResult(name="finishing", passed=True),
    CaseResult(name="told by the requirement", passed=True),
)
MANIFEST = Manifest(
    name="small",
    version="1",
    title="Small",
    toolchain=ToolchainSpec(lock="lock"),
    technology={"Docker": "any", "FastAPI": "0.116.1", "python": "3.11", "sqlalchemy": "2.0.41"},
    work=(
        WorkSpec(name="skeleton", agent="builder"),
        WorkSpec(name="models", agent="builder", each="entity"),
        WorkSpec(name="actions", agent="builder", each="endpoint"),
        WorkSpec(name="checks", agent="tester", each="entity", stage="test"),
    ),
)


def _blueprint_of(**changes: object) -> Blueprint:
    card = Entity(
        name="Card",
        path="/cards",
        fields=(Field(name="title", kind=FieldKind.TEXT, requirements=("R-field",)),),
    )
    fields: dict[str, object] = {
        "project": Project(name="Taskboard", slug="taskboard"),
        "entities": (card,),
        "endpoints": (
            Endpoint(
                method="POST",
                path="/cards/{id}/finish",
                call=CrudCall.ACTION,
                entity="Card",
                requirements=("R-case",),
            ),
            Endpoint(method="POST", path="/magic", call=CrudCall.STUB, requirements=("R-stub",)),
            Endpoint(
                method="GET", path="/cards", call=CrudCall.LIST, entity="Card", requirements=("R-crud",)
            ),
        ),
        "views": (View(name="Board view", lists="Card"),),
        "requirements": tuple(
            Requirement(id=name, text=f"Text of {name}.", by=by, line=line)
            for line, (name, by) in enumerate(
                {
                    "R-case": (),
                    "R-field": (),
                    "R-stub": (),
                    "R-crud": (),
                    "R-by": ("Card.title",),
                    "R-by-view": ("Board view",),
                    "R-by-crud": ("PATCH /cards/{id}",),
                    "R-by-case": ("told by the requirement",),
                    "R-alone": (),
                }.items(),
                start=10,
            )
        ),
        "acceptance": (
            AcceptanceCase(name="finishing", steps=(), requirements=("R-case",)),
            AcceptanceCase(name="told by the requirement", steps=()),
        ),
    }
    return Blueprint(**{**fields, **changes})  # type: ignore[arg-type]  # the tests name real fields


@pytest.fixture(scope="session")
def blueprint_of() -> Callable[..., Blueprint]:
    """A spec with every way to link a requirement; fields may be replaced."""
    return _blueprint_of


@pytest.fixture(scope="session")
def small_template() -> TemplatePackage:
    return TemplatePackage(manifest=MANIFEST, root=Path("x"), digest="0")


@pytest.fixture
def evidence(made: Callable[..., Contribution], small_template: TemplatePackage) -> Callable[..., Evidence]:
    """What a small build that went well leaves; fields may be replaced."""

    def make(blueprint: Blueprint | None = None, **changes: object) -> Evidence:
        blueprint = blueprint or _blueprint_of()
        fields: dict[str, object] = {
            "blueprint": blueprint,
            "plan": HierarchicalPlanner().plan(blueprint, small_template),
            "manifest": MANIFEST,
            "contributions": (
                made("skeleton", "README.md", "app/main.py"),
                made("models/Card", "app/models/card.py"),
                made("actions/post-cards-id-finish/debugger/1", "app/actions/finish.py"),
                made("checks/Card", "tests/test_card.py"),
            ),
            "gates": PASSED,
            "cases": CASES,
            "versions": {"studio": "0.1.0", "template": "small 1"},
        }
        return Evidence(**{**fields, **changes})  # type: ignore[arg-type]  # the tests name real fields

    return make
