"""The shape of the code: sizes, names, versions, layers."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

LONGEST_FILE = 400
LONGEST_FUNCTION = 60
FORBIDDEN_NAMES = {"utils", "util", "manager", "helper", "helpers", "base", "common", "misc"}


def long_functions(tree: ast.Module) -> list[str]:
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [f.name for f in functions if (f.end_lineno or 0) - f.lineno + 1 > LONGEST_FUNCTION]


def reads_environment(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.Attribute)
        and node.attr in {"environ", "getenv"}
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        for node in ast.walk(tree)
    )


def test_no_file_is_too_long(sources: dict[Path, str]) -> None:
    assert {str(p): n for p, text in sources.items() if (n := text.count("\n")) > LONGEST_FILE} == {}


def test_no_function_is_too_long(trees: dict[Path, ast.Module]) -> None:
    assert {str(path): names for path, tree in trees.items() if (names := long_functions(tree))} == {}


def test_no_file_is_named_after_nothing(shipped: dict[Path, str]) -> None:
    assert [str(path) for path in shipped if path.stem in FORBIDDEN_NAMES] == []


def test_only_settings_read_the_environment(trees: dict[Path, ast.Module]) -> None:
    # What runs inside the sandbox is no part of our process, and the servers' wheels are started with a clean one.
    inside = "core/factory_core/sandbox/inside/"
    readers = {str(path) for path, tree in trees.items() if reads_environment(tree)}
    assert {path for path in readers if not path.startswith(inside)} == {"core/factory_core/settings.py"}


def test_all_distributions_have_one_version_and_pin_it(root: Path, members: list[Path]) -> None:
    projects = {
        folder: tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        for folder in [root, *members]
    }
    versions = {project["version"] for project in projects.values()}
    assert len(versions) == 1
    version = versions.pop()
    ours = {project["name"] for project in projects.values()}
    for project in projects.values():
        for requirement in project["dependencies"]:
            name, _, pinned = requirement.partition("==")
            if name in ours:
                assert pinned == version, f"{project['name']} needs {requirement}"
    installed = set(projects[root]["dependencies"])
    assert installed == {f"{name}=={version}" for name in ours - {"factory-studio"}}


def test_a_folder_is_its_distribution_is_its_package(root: Path, members: list[Path]) -> None:
    for folder in members:
        parts = folder.relative_to(root).parts
        words = [*("plugin" if p == "plugins" else "template" if p == "templates" else p for p in parts)]
        words = words[1:] if words[:2] == ["plugin", "template"] else words
        name = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["name"]
        assert name == "-".join(["factory", *words])
        assert (folder / name.replace("-", "_") / "py.typed").is_file()


def test_what_ships_with_the_platform_says_so_and_no_one_else(root: Path, members: list[Path]) -> None:
    from factory_core.kernel.plugins import FIRST_PARTY_KEYWORD

    for folder in members:
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        marked = FIRST_PARTY_KEYWORD in project.get("keywords", [])
        assert marked == ("factory.plugins" in project.get("entry-points", {})), folder
    template = root / "core/factory_core/kernel/plugin_template/pyproject.toml.j2"
    assert FIRST_PARTY_KEYWORD not in template.read_text()


def test_the_kernel_names_no_plugin(root: Path, shipped: dict[Path, str]) -> None:
    packages = {path.parts[-2] if path.name == "plugin.py" else "" for path in shipped} - {""}
    assert len(packages) >= 5
    core = {path: text for path, text in shipped.items() if path.parts[0] == "core"}
    named = [
        (str(path), name) for path, text in core.items() for name in packages if f"import {name}" in text
    ]
    named += [(str(path), name) for path, text in core.items() for name in packages if f"from {name}" in text]
    kernel = {path: text for path, text in core.items() if "kernel" in path.parts}
    distributions = [name.replace("_", "-") for name in packages]
    named += [(str(path), name) for path, text in kernel.items() for name in distributions if name in text]
    assert named == []


def test_no_two_migration_files_have_one_name(sources: dict[Path, str]) -> None:
    names = Counter(p.name for p in sources if p.parent.name == "piccolo_migrations" and p.stem != "__init__")
    assert names
    assert [name for name, count in names.items() if count > 1] == []


def test_layers_hold_and_plugins_use_the_public_surface_only(root: Path) -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("guard", "breach"),
    [
        (long_functions, "def f():\n" + "    x = 1\n" * 60),
        (reads_environment, "import os\nos.environ['X']"),
        (reads_environment, "import os\nos.getenv('X')"),
    ],
)
def test_the_guards_see_a_breach(guard: object, breach: str) -> None:
    assert callable(guard)
    assert guard(ast.parse(breach))
    assert not guard(ast.parse("def f():\n    return 1\n"))
