"""Finding the migrations of an app and the order between apps."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from graphlib import TopologicalSorter
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from piccolo.conf.apps import AppConfig

from factory_core.kernel.database import APP_REGISTRY
from factory_migrations.errors import MigrationNamesClash


class Digests(NamedTuple):
    """What SQL a migration ran: ``fixed`` of what only it may run, ``renewable`` of what may be run again at any time."""

    fixed: str
    renewable: str


class Step:
    """One migration file of an app; imported when it is first needed."""

    def __init__(self, app: str, file: Path) -> None:
        self.app = app
        self.file = file
        self._module: Any = None

    @property
    def module(self) -> Any:
        """The imported file. Piccolo looks migrations up by bare name, so that is the name it is known by."""
        if self._module is None:
            spec = spec_from_file_location(self.file.stem, self.file)
            assert spec is not None  # noqa: S101  # a .py file always has one
            assert spec.loader is not None  # noqa: S101  # as above
            module = module_from_spec(spec)
            spec.loader.exec_module(module)
            sys.modules[self.file.stem] = module
            self._module = module
        return self._module

    @property
    def name(self) -> str:
        """Its ``ID``, by which it is recorded; the file's name where it has none."""
        return str(getattr(self.module, "ID", self.file.stem))

    @property
    def digests(self) -> Digests | None:
        """Of its ``SCRIPTS`` and ``RENEWABLE``, the SQL files it runs; none where it names none."""
        fixed: Sequence[Path] | None = getattr(self.module, "SCRIPTS", None)
        if fixed is None:
            return None
        return Digests(_digest(fixed), _digest(getattr(self.module, "RENEWABLE", ())))


def _digest(files: Sequence[Path]) -> str:
    sums = [f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files]
    return hashlib.sha256("\n".join(sums).encode()).hexdigest()


def steps_of(app: AppConfig) -> list[Step]:
    """The migration files of an app, in the order of their names."""
    folder = Path(app.resolved_migrations_folder_path)
    files = sorted(file for file in folder.glob("*.py") if file.name != "__init__.py")
    return [Step(app.app_name, file) for file in files]


def in_order(apps: Sequence[AppConfig]) -> list[AppConfig]:
    """Every app after those it depends on; otherwise as given."""
    named = {app.app_name: app for app in apps}
    graph = {app.app_name: dependencies(app) & named.keys() for app in apps}
    return [named[name] for name in TopologicalSorter(graph).static_order()]


def dependencies(app: AppConfig) -> set[str]:
    """Names of the apps an app declares; one that cannot be imported counts as none here and fails when it is tried."""
    try:
        return {dependency.app_name for dependency in app.migration_dependency_app_configs}
    except ImportError:
        return set()


def refuse_clashes(steps: Sequence[Step], seen: dict[str, str]) -> None:
    """Note the file names in ``seen``. Raises MigrationNamesClash when another app has one of them."""
    for step in steps:
        owner = seen.setdefault(step.file.stem, step.app)
        if owner != step.app:
            raise MigrationNamesClash(step.file.stem, owner)


def register(apps: Sequence[AppConfig]) -> None:
    """Make the apps known to Piccolo, which finds them by module name, although they came as objects."""
    for app in apps:
        name = f"factory_migrations.registered_{app.app_name}"
        module = ModuleType(name)
        vars(module)["APP_CONFIG"] = app
        sys.modules[name] = module
        APP_REGISTRY.app_configs[app.app_name] = app
        if name not in APP_REGISTRY.apps:
            APP_REGISTRY.apps.append(name)
