"""Rendered projects are tidy, pass their own tests, and are the same each time."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from factory_core.contracts.blueprint import Blueprint, Project
from factory_core.contracts.template import TemplatePackage
from factory_core.planning import narrow
from factory_plugin_agents.direct import render_project, render_raw

SPECS = [
    "taskboard",
    "everything",
    "nasty",
    "bare",
    "doors",
    "team-tree",
    "library",
    "clinic",
    "orders",
    "reserved-words",
    "studio-dialect",
]

ALWAYS = [name for name in ("everything", "nasty", "bare", "doors") if name in SPECS]
"""Between them they use all of the language, and next to nothing of it. The gates run the tests of the others when the
examples are built."""
REST = [name for name in SPECS if name not in ALWAYS]

Render = Callable[[str], Path]
Run = Callable[..., CompletedProcess[str]]


@pytest.mark.parametrize("name", [*SPECS, "warehouse-40"])
def test_it_is_formatted_and_without_faults(render: Render, run: Run, name: str) -> None:
    folder = render(name)
    for arguments in (("check", "--no-cache", "."), ("format", "--no-cache", "--check", ".")):
        done = run(folder, "ruff", *arguments)
        assert done.returncode == 0, done.stdout
    done = run(folder, "bandit", "-q", "-r", "app", "-lll")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", [*ALWAYS, *(pytest.param(name, marks=pytest.mark.slow) for name in REST)])
def test_it_passes_its_own_tests_with_nine_tenths_covered(render: Render, run: Run, name: str) -> None:
    done = run(render(name), "pytest", "-q", "-p", "no:cacheprovider", "--cov=app", "--cov-fail-under=90")
    assert done.returncode == 0, done.stdout[-4000:]
    assert "skipped" not in done.stdout
    assert "warnings summary" not in done.stdout


@pytest.mark.parametrize("name", ["taskboard", "everything"])
def test_it_passes_its_own_tests_on_postgresql(render: Render, run: Run, database: str, name: str) -> None:
    done = run(render(name), "pytest", "-q", "-x", "-p", "no:cacheprovider", TEST_DATABASE_URL=database)
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.parametrize("name", ["taskboard", "everything"])
def test_its_migration_makes_the_models_tables_on_postgresql(
    render: Render, run: Run, database: str, name: str
) -> None:
    for command in (("upgrade", "head"), ("check",), ("downgrade", "base"), ("upgrade", "head")):
        done = run(render(name), "alembic", *command, DATABASE_URL=database, SECRET_KEY="x" * 32)
        assert done.returncode == 0, done.stdout + done.stderr


def test_two_renderings_are_equal(
    read_spec: Callable[[str], Blueprint], template: TemplatePackage, python: Path
) -> None:
    blueprint = read_spec("everything")
    assert render_project(blueprint, template, python=python) == render_project(
        blueprint, template, python=python
    )


@pytest.mark.parametrize("name", [*SPECS, "warehouse-40"])
def test_what_a_task_sees_of_the_blueprint_is_enough_for_its_files(
    read_spec: Callable[[str], Blueprint], template: TemplatePackage, name: str
) -> None:
    blueprint = read_spec(name)
    whole = render_raw(blueprint, template)
    for entity in blueprint.entities:
        seen = render_raw(narrow(blueprint, f"entity:{entity.name}"), template, only=entity.name)
        assert {path: whole[path] for path in seen} == seen


def test_a_plain_project_has_nothing_it_does_not_need(
    template: TemplatePackage, read_spec: Callable[[str], Blueprint]
) -> None:
    files = render_raw(read_spec("reserved-words"), template)
    absent = (
        "app/auth.py",
        "app/accounts.py",
        "app/states.py",
        "app/secrecy.py",
        "app/stubs.py",
        "app/actions",
    )
    assert not [path for path in files if path.startswith(absent)]
    backend = b"".join(content for path, content in files.items() if path.startswith("app/"))
    assert not re.search(rb"SECRET_KEY|made_by", backend)


def test_a_project_without_entities_still_runs(
    template: TemplatePackage, python: Path, run: Run, tmp_path: Path
) -> None:
    blueprint = Blueprint(project=Project(name="Empty", slug="empty"))
    for path, content in render_project(blueprint, template, python=python).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    done = run(tmp_path, "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout[-3000:]
    assert run(tmp_path, "ruff", "check", "--no-cache", ".").returncode == 0


def test_a_test_notices_when_a_handler_forgets_its_guard(render: Render, run: Run) -> None:
    folder = render("taskboard")
    route = folder / "app" / "routes" / "card.py"
    right = route.read_text()
    faults = (
        ("require_rows(session, body, REFERENCES)", "pass"),
        ('require_initial("status", card.status, "todo")', "pass"),
        ("check_card(card, session)", "pass"),
        ("status_code=204", "status_code=200"),
        ('MAY_READ = allow("admin", "member", "viewer")', 'MAY_READ = allow("admin", "member")'),
    )
    try:
        for good, bad in faults:
            assert good in right
            route.write_text(right.replace(good, bad, 1))
            done = run(folder, "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/contract/test_card.py")
            assert done.returncode == 1, f"{bad} was not noticed: {done.stdout[-500:]}"
    finally:
        route.write_text(right)
