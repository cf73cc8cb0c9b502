"""What others may build on: hooks that are used and documented, and a public surface that changes on purpose only."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from factory_core import hooks
from factory_core.kernel.plugins import hook_names

PUBLIC = ("hooks", "contracts", "errors", "settings", "testing")


def surface() -> list[str]:
    """Every public name of the public modules, with its signature where it has one."""
    lines: list[str] = []
    for area in PUBLIC:
        module = importlib.import_module(f"factory_core.{area}")
        names = [module.__name__]
        if hasattr(module, "__path__"):
            names += [m.name for m in pkgutil.iter_modules(module.__path__, f"{module.__name__}.")]
        for name in sorted(names):
            lines += _names_of(importlib.import_module(name))
    return lines


def _names_of(module: ModuleType) -> list[str]:
    lines: list[str] = []
    for name in sorted(getattr(module, "__all__", [])):
        value = getattr(module, name)
        own = inspect.getmembers(value) if inspect.isclass(value) else []
        parts = [key for key, _ in own if not key.startswith("_") and key in _declared(value)]
        lines.append(f"{module.__name__}.{name}" + (f": {', '.join(parts)}" if parts else ""))
    specs = hook_names() if module is hooks else ()
    return lines + [f"factory_core.hooks.{hook}{inspect.signature(getattr(hooks, hook))}" for hook in specs]


def _declared(kind: type) -> set[str]:
    return {
        name for each in kind.__mro__ if each.__module__.startswith("factory_core") for name in vars(each)
    }


def test_the_public_surface_changes_on_purpose_only(root: Path) -> None:
    snapshot = root / "tests/architecture/public_surface.txt"
    now = "\n".join(surface()) + "\n"
    assert snapshot.read_text() == now, (
        "The public surface changed. If that is meant, write it down: "
        "python tests/architecture/test_surface.py > tests/architecture/public_surface.txt"
    )


def test_every_hook_is_documented_and_says_since_when(root: Path) -> None:
    page = (root / "docs/reference/hooks.md").read_text()
    for name in hook_names():
        assert f"## `{name}`" in page
        assert re.search(r"Added\s+in \d", getattr(hooks, name).__doc__ or ""), name


def test_every_hook_is_used_by_something_shipped_or_sampled(root: Path) -> None:
    files = [
        *root.glob("*/*/plugin.py"),
        *root.glob("plugins/**/plugin.py"),
        *root.glob("tests/plugins_samples/**/plugin.py"),
    ]
    code = "\n".join(file.read_text() for file in files if ".venv" not in file.parts)
    assert [name for name in hook_names() if f"def {name}(" not in code] == []


def test_generated_pages_are_up_to_date(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, root / "docs/generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_importing_the_public_surface_loads_no_web_framework_and_no_driver() -> None:
    modules = ", ".join(f"factory_core.{area}" for area in ("hooks", "errors", "settings"))
    code = f"import sys, {modules}; print(sorted({{'litestar', 'asyncpg', 'piccolo', 'rich'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom factory_core.kernel.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'litestar', 'asyncpg', 'piccolo', 'jinja2', 'structlog', 'arq', 'ruamel'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


if __name__ == "__main__":
    sys.stdout.write("\n".join(surface()) + "\n")
