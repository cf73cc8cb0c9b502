"""What the migrations bring: the platform's own tables, the runner of everyone's migrations, and its commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from factory_core.contracts.migrator import Migrator
from factory_core.hooks import hookimpl

if TYPE_CHECKING:
    from piccolo.conf.apps import AppConfig


@hookimpl
def factory_piccolo_apps() -> Sequence[AppConfig]:
    """The tables of builds, tasks and events."""
    from factory_migrations.core.piccolo_app import APP_CONFIG

    return [APP_CONFIG]


@hookimpl
def factory_migrator(apps: Sequence[AppConfig]) -> Migrator:
    """The runner of every plugin's migrations."""
    from factory_migrations.runner import Runner

    return Runner(apps)


@hookimpl
def factory_commands() -> Mapping[str, str]:
    """``studio migrate``."""
    return {"migrate": "factory_migrations.commands:migrate"}
