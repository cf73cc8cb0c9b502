"""Booting: settings read, plugins loaded, hooks called once. The result is what every command and process starts from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct

from factory_core.contracts.agent import Agent
from factory_core.contracts.health import HealthCheck
from factory_core.contracts.jobs import Job, JobQueue
from factory_core.contracts.migrator import MigrationState, Migrator
from factory_core.contracts.plan import Paradigm
from factory_core.contracts.servers import ServerSource
from factory_core.contracts.storage import Storage
from factory_core.errors import DatabaseOutdated, EnvironmentUnfit
from factory_core.kernel.enqueue import OpenQueue
from factory_core.kernel.offers import OFFERS, Registry, ask
from factory_core.kernel.plugins import Plugin, PluginReport, load_plugins, priority
from factory_core.settings import KernelSettings, Sources, read_sources

if TYPE_CHECKING:
    from piccolo.conf.apps import AppConfig

SettingsT = TypeVar("SettingsT", bound=Struct)

ALL_HOOKS = tuple(hook for hook in OFFERS if hook != "factory_migrator")
COMMAND_HOOKS = ("factory_settings", "factory_commands")
"""What ``studio --help`` needs, and nothing heavier."""
KERNEL_PATHS = ("GET /health/live", "GET /health/ready")
OWN_PARADIGMS = ("hierarchical", "hybrid")
KERNEL_COMMANDS = {
    "build": "factory_core.kernel.commands.build:build",
    "builds": "factory_core.kernel.commands.build:builds",
    "check": "factory_core.kernel.commands.specs:check",
    "plan": "factory_core.kernel.commands.specs:plan",
    "serve": "factory_core.kernel.commands.serve:serve",
    "worker": "factory_core.kernel.commands.serve:worker",
    "plugins": "factory_core.kernel.commands.plugins:plugins",
    "doctor": "factory_core.kernel.commands.doctor:doctor",
    "queue": "factory_core.kernel.commands.queue:queue",
    "shares": "factory_core.kernel.commands.shares:shares",
    "toolchain": "factory_core.sandbox.commands:toolchain",
}


class NothingOffers(EnvironmentUnfit):
    """No installed plugin and no setting provides something that is needed now."""

    def __init__(self, what: str, remedy: str) -> None:
        self.what = what
        super().__init__(f"There is no {what}. {remedy}")


class PluginBoot:
    """What one plugin may know while it registers (the ``Boot`` of ``hooks.py``)."""

    def __init__(self, plugin: Plugin, sources: Sources, queue: JobQueue) -> None:
        self.home: Path = sources.home
        self.queue = queue
        self._plugin = plugin
        self._sources = sources

    def settings(self, kind: type[SettingsT]) -> SettingsT:
        """The plugin's settings, read and checked."""
        if kind not in self._plugin.offers.get("factory_settings", ()):
            raise LookupError(
                f"factory_settings of plugin {self._plugin.name} does not return {kind.__name__}"
            )
        return self._sources.read(kind, self._plugin.name)


class Studio:
    """The booted platform: its settings and everything its plugins offer."""

    def __init__(self, sources: Sources, plugins: tuple[Plugin, ...]) -> None:
        self.sources = sources
        self.settings: KernelSettings = sources.read(KernelSettings)
        self.home: Path = sources.home
        self.plugins = plugins
        self.queue = OpenQueue(self.jobs)

    def ask_all(self, hooks: Sequence[str]) -> None:
        """Call each hook of each plugin once, in an order in which later hooks may rely on earlier ones."""
        reserved = {
            "factory_routes": KERNEL_PATHS,
            "factory_commands": KERNEL_COMMANDS,
            "factory_planners": OWN_PARADIGMS,
        }
        registry = Registry(reserved)
        for hook in hooks:
            for plugin in self.plugins:
                ask(plugin, hook, registry, boot=PluginBoot(plugin, self.sources, self.queue))
                if hook == "factory_settings" and plugin.on:
                    self._read_settings(plugin)
        if set(hooks) >= {"factory_piccolo_apps"}:
            for plugin in self.plugins:
                boot = PluginBoot(plugin, self.sources, self.queue)
                ask(plugin, "factory_migrator", registry, boot=boot, apps=self.apps())

    def _read_settings(self, plugin: Plugin) -> None:
        with plugin.contained("settings"):
            for kind in plugin.offers.get("factory_settings", ()):
                self.sources.read(kind, plugin.name)

    def warnings(self) -> tuple[str, ...]:
        """Settings that nothing reads."""
        known: dict[str, type[Struct]] = {"kernel": KernelSettings}
        for plugin in self.plugins:
            for kind in plugin.offers.get("factory_settings", ()):
                known[plugin.name] = kind
        return self.sources.leftovers(known)

    def reports(self) -> tuple[PluginReport, ...]:
        """One row per installed plugin, on or off."""
        return tuple(plugin.report() for plugin in self.plugins)

    def apps(self) -> tuple[AppConfig, ...]:
        """The Piccolo apps of every plugin that is on."""
        return self._offered("factory_piccolo_apps")

    def routes(self) -> tuple[Any, ...]:
        """The Litestar handlers of every plugin that is on."""
        return self._offered("factory_routes")

    def jobs(self) -> tuple[Job, ...]:
        """Ordinary background work."""
        return self._offered("factory_jobs")

    def health(self) -> tuple[HealthCheck, ...]:
        """What ``/health/ready`` and ``studio doctor`` ask besides the kernel's own checks."""
        return self._offered("factory_health")

    def templates(self) -> tuple[Path, ...]:
        """Folders of installed template packages."""
        return self._offered("factory_templates")

    def agents(self) -> dict[str, Agent]:
        """Agents by name."""
        return {agent.name: agent for agent in self._offered("factory_agents")}

    def planners(self) -> tuple[Paradigm, ...]:
        """The ways of working that plugins bring."""
        return self._offered("factory_planners")

    def commands(self) -> dict[str, str]:
        """Commands of ``studio``: the kernel's and the plugins', ``name -> "module:function"``."""
        return {**KERNEL_COMMANDS, **dict(self._offered("factory_commands"))}

    def storage(self) -> Storage:
        """The backend that FACTORY_STORAGE names. Raises NothingOffers."""
        backends: dict[str, Storage] = {
            storage.name: storage for storage in self._offered("factory_storages")
        }
        if self.settings.storage not in backends:
            offered = ", ".join(sorted(backends)) or "none"
            raise NothingOffers(
                f"storage called {self.settings.storage!r}",
                f"Set FACTORY_STORAGE to one that is installed ({offered}) or install a plugin that brings it.",
            )
        return backends[self.settings.storage]

    def migrator(self) -> Migrator:
        """What applies migrations. Raises NothingOffers."""
        found = self._first("factory_migrator")
        if found is None:
            raise NothingOffers(
                "migration runner", "Install a plugin that brings one, as factory-studio does."
            )
        return found

    def database_source(self) -> ServerSource | None:
        """The server to start when no database is configured; None when one is, or none is offered."""
        return None if self.settings.database_url else self._first("factory_database_url")

    def queue_source(self) -> ServerSource | None:
        """The server to start when no queue is configured; None when one is, or none is offered."""
        return None if self.settings.queue_url else self._first("factory_queue_url")

    def database_url(self) -> str:
        """Where the database is, running or not. Raises NothingOffers."""
        if self.settings.database_url:
            return self.settings.database_url.reveal()
        source = self.database_source()
        if source is None:
            raise NothingOffers(
                "PostgreSQL", "Set FACTORY_DATABASE_URL or install a plugin that brings a server."
            )
        return source.url(self.home)

    def queue_url(self) -> str | None:
        """Where the queue is, running or not; None means that workers poll the database."""
        if self.settings.queue_url:
            return self.settings.queue_url.reveal()
        source = self.queue_source()
        return source.url(self.home) if source else None

    def take_back(self, states: Iterable[MigrationState]) -> None:
        """Switch off the plugins whose migrations failed: their tables are not what their code expects. Raises PluginFault
        and DatabaseOutdated for the platform's."""
        failed: Mapping[str, MigrationState] = {state.app: state for state in states if state.error}
        for plugin in self.plugins:
            for app in plugin.offers.get("factory_piccolo_apps", ()):
                state = failed.get(app.app_name)
                if state is not None:
                    if state.outdated and plugin.first_party:
                        raise DatabaseOutdated(f"migration {state.name}: {state.error}")
                    plugin.switch_off(f"migration {state.name} failed: {state.error}")
                    break

    def _offered(self, hook: str) -> tuple[Any, ...]:
        return tuple(value for plugin in self.plugins for value in plugin.offers.get(hook, ()))

    def _first(self, hook: str) -> Any | None:
        offering = [plugin for plugin in self.plugins if plugin.offers.get(hook)]
        offering.sort(key=lambda plugin: priority(plugin, hook))
        return offering[0].offers[hook][0] if offering else None


def start(
    sources: Sources | None = None,
    *,
    hooks: Sequence[str] = ALL_HOOKS,
    found: Iterable[EntryPoint] | None = None,
) -> Studio:
    """Boot. Raises SettingsError for the kernel's settings and PluginFault for a first-party plugin, never for others."""
    studio = Studio(sources or read_sources(), load_plugins(found))
    studio.ask_all(hooks)
    return studio
