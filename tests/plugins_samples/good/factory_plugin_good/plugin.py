"""What this plugin adds: notes, stored in a table of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from factory_core.contracts.agent import Agent
from factory_core.contracts.health import HealthCheck
from factory_core.contracts.jobs import Job
from factory_core.hooks import Boot, hookimpl
from factory_plugin_good.settings import NoteSettings

if TYPE_CHECKING:
    from litestar.handlers import BaseRouteHandler
    from piccolo.conf.apps import AppConfig


@hookimpl
def factory_settings() -> type[NoteSettings]:
    return NoteSettings


@hookimpl
def factory_piccolo_apps() -> Sequence[AppConfig]:
    from factory_plugin_good.piccolo_app import APP_CONFIG

    return [APP_CONFIG]


@hookimpl
def factory_routes(boot: Boot) -> Sequence[BaseRouteHandler]:
    from factory_plugin_good.routes import adding, list_notes

    return [adding(boot.queue), list_notes]


@hookimpl
def factory_jobs(boot: Boot) -> Sequence[Job]:
    from factory_plugin_good.jobs import tidy_job

    return [tidy_job(boot.settings(NoteSettings).keep)]


@hookimpl
def factory_commands() -> Mapping[str, str]:
    return {"notes": "factory_plugin_good.commands:notes"}


@hookimpl
def factory_agents() -> Sequence[Agent]:
    from factory_plugin_good.agents import Poet

    return [Poet()]


@hookimpl
def factory_health() -> Sequence[HealthCheck]:
    from factory_plugin_good.health import NotesAnswer

    return [NotesAnswer()]
