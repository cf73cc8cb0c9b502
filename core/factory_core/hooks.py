"""The hooks a plugin may implement.

Hooks register, protocols run: each hook is synchronous, is called once at boot and returns objects; what is awaited later
is a method of the Protocol those objects implement. The kernel checks the returned types and names the plugin that got
them wrong. A plugin is a module under the entry-point group ``factory.plugins``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import pluggy
from msgspec import Struct

from factory_core.contracts.agent import Agent
from factory_core.contracts.health import HealthCheck
from factory_core.contracts.jobs import Job, JobQueue
from factory_core.contracts.migrator import Migrator
from factory_core.contracts.plan import Paradigm
from factory_core.contracts.servers import ServerSource
from factory_core.contracts.storage import Storage

if TYPE_CHECKING:
    from litestar.handlers import BaseRouteHandler
    from litestar.router import Router
    from piccolo.conf.apps import AppConfig

__all__ = ["Boot", "hookimpl", "hookspec"]

# A hook's specification has no body: pluggy reads its name and arguments, and plugins return the values. Each says so to
# the type checker with "ignore[empty-body]".
hookspec = pluggy.HookspecMarker("factory")
hookimpl = pluggy.HookimplMarker("factory")

SettingsT = TypeVar("SettingsT", bound=Struct)


class Boot(Protocol):
    """What a plugin may know while it registers."""

    home: Path
    """FACTORY_HOME; a plugin keeps its files in a folder of its own name below."""
    queue: JobQueue
    """Where the plugin's routes and jobs ask for background jobs. Usable once the studio runs."""

    def settings(self, kind: type[SettingsT]) -> SettingsT:
        """The plugin's settings, read and checked. ``kind`` must have been returned by ``factory_settings``."""
        ...


@hookspec
def factory_settings() -> type[Struct] | None:  # type: ignore[empty-body]
    """Name the Struct of this plugin's settings, read from ``FACTORY_<NAME>_*`` and ``studio.toml``. Added in 0.1."""


@hookspec(firstresult=True)
def factory_database_url(boot: Boot) -> ServerSource | None:
    """Offer a PostgreSQL when none is configured. The first plugin that answers wins. Added in 0.1."""


@hookspec(firstresult=True)
def factory_queue_url(boot: Boot) -> ServerSource | None:
    """Offer a Redis-protocol server when none is configured. The first plugin that answers wins. Added in 0.1."""


@hookspec
def factory_piccolo_apps(boot: Boot) -> Sequence[AppConfig]:  # type: ignore[empty-body]
    """Offer Piccolo apps: tables with their migrations. Two apps of one name: the later plugin is switched off.
    Added in 0.1."""


@hookspec(firstresult=True)
def factory_migrator(boot: Boot, apps: Sequence[AppConfig]) -> Migrator | None:
    """Offer what applies the migrations of ``apps``. The platform's own runner implements it. Added in 0.1."""


@hookspec
def factory_routes(boot: Boot) -> Sequence[Router | type | BaseRouteHandler]:  # type: ignore[empty-body]
    """Offer Litestar routers, controllers or handlers. A path that exists already switches the plugin off.
    Added in 0.1."""


@hookspec
def factory_jobs(boot: Boot) -> Sequence[Job]:  # type: ignore[empty-body]
    """Offer background jobs. Added in 0.1."""


@hookspec
def factory_commands(boot: Boot) -> Mapping[str, str]:  # type: ignore[empty-body]
    """Offer commands of ``studio`` as ``name -> "module:click_command"``, imported when used. Added in 0.1."""


@hookspec
def factory_storages(boot: Boot) -> Sequence[Storage]:  # type: ignore[empty-body]
    """Offer storage backends; FACTORY_STORAGE picks one by name. Added in 0.1."""


@hookspec
def factory_agents(boot: Boot) -> Sequence[Agent]:  # type: ignore[empty-body]
    """Offer agents. Two agents of one name: the later plugin is switched off. Added in 0.1."""


@hookspec
def factory_templates(boot: Boot) -> Sequence[Path]:  # type: ignore[empty-body]
    """Offer template packages: folders that hold a ``factory.toml``. Added in 0.1."""


@hookspec
def factory_planners(boot: Boot) -> Sequence[Paradigm]:  # type: ignore[empty-body]
    """Offer ways of working for the planner, chosen by name in ``meta.paradigm``. ``hierarchical`` and ``hybrid`` are the
    kernel's own. Added in 0.1."""


@hookspec
def factory_health(boot: Boot) -> Sequence[HealthCheck]:  # type: ignore[empty-body]
    """Offer health checks for ``/health/ready`` and ``studio doctor``. Added in 0.1."""
