"""Finding and loading plugins, one by one, so that one plugin's fault is that plugin's alone.

A third party's fault switches that plugin off and keeps the traceback; a fault of a first-party plugin stops the boot. The
hooks are called by ``offers.py``; nothing here knows a plugin by name.
"""

from __future__ import annotations

import difflib
import inspect
import traceback
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

import pluggy
from msgspec import Struct

from factory_core import hooks
from factory_core.errors import FactoryError

GROUP = "factory.plugins"

# What ships with the platform says so in its own metadata (pyproject.toml, ``keywords``). The kernel thus needs no list of
# names, a third party cannot be taken for ours by its name, and claiming the word only costs the claimant containment.
FIRST_PARTY_KEYWORD = "factory-studio-first-party"


class PluginFault(FactoryError):
    """A plugin that ships with the platform is broken, so the platform does not start."""

    exit_code = 4

    def __init__(self, plugin: str, distribution: str, cause: str) -> None:
        self.plugin = plugin
        self.distribution = distribution
        self.cause = cause
        super().__init__(
            f"Plugin {plugin} ({distribution}) is part of Factory Studio and does not work: {cause}. "
            f"Reinstall {distribution}."
        )


class PluginMistake(FactoryError):
    """What a plugin did wrong while it registered, in words for its author."""


class PluginReport(Struct, frozen=True, kw_only=True):
    """What ``studio plugins`` shows of one plugin."""

    name: str
    distribution: str
    version: str
    first_party: bool
    on: bool
    added: dict[str, tuple[str, ...]]
    """What it brought, by kind: ``routes``, ``tables``, ``jobs`` …"""
    cause: str = ""
    """Why it is off, in one line."""
    traceback: str = ""


class Plugin:
    """One plugin while the platform runs: its module, what it offered, and its fault once it has one."""

    def __init__(self, name: str, distribution: str, version: str, *, first_party: bool) -> None:
        self.name = name
        self.distribution = distribution
        self.version = version
        self.first_party = first_party
        self.module: ModuleType | None = None
        self.offers: dict[str, tuple[Any, ...]] = {}
        self.labels: dict[str, tuple[str, ...]] = {}
        self.cause = ""
        self.traceback = ""

    @property
    def on(self) -> bool:
        """Whether it takes part."""
        return not self.cause

    def switch_off(self, cause: str, error: BaseException | None = None) -> None:
        """Take everything back that it offered. Raises PluginFault when it belongs to the platform."""
        if self.first_party:
            raise PluginFault(self.name, self.distribution, cause) from error
        self.cause = cause
        self.traceback = "".join(traceback.format_exception(error)) if error else ""
        self.offers.clear()
        self.labels.clear()

    @contextmanager
    def contained(self, doing: str) -> Generator[None, None, None]:
        """Any exception inside becomes this plugin's fault, whatever its kind: it is someone else's code."""
        try:
            yield
        except PluginFault:
            raise
        except PluginMistake as error:
            self.switch_off(f"{doing}: {error}", error)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a plugin may raise anything, even exit
            self.switch_off(f"{doing}: {type(error).__name__}: {error}", error)

    def report(self) -> PluginReport:
        """Its row on ``studio plugins``."""
        return PluginReport(
            name=self.name,
            distribution=self.distribution,
            version=self.version,
            first_party=self.first_party,
            on=self.on,
            added=dict(self.labels),
            cause=self.cause,
            traceback=self.traceback,
        )


def load_plugins(found: Iterable[EntryPoint] | None = None) -> tuple[Plugin, ...]:
    """Import every plugin, first-party ones first, then by name, and check its hooks' names and arguments."""
    manager = pluggy.PluginManager("factory")
    manager.add_hookspecs(hooks)
    loaded: list[tuple[Plugin, EntryPoint]] = [
        (_described(entry), entry) for entry in (entry_points(group=GROUP) if found is None else found)
    ]
    loaded.sort(key=lambda pair: (not pair[0].first_party, pair[0].name, pair[0].distribution))
    names: set[str] = set()
    for plugin, entry in loaded:
        with plugin.contained("import"):
            if plugin.name in names:
                raise PluginMistake(f"another plugin is already called {plugin.name!r}; rename one of them")
            module: Any = entry.load()
            if not isinstance(module, ModuleType):
                raise PluginMistake(f"the entry point names a {type(module).__name__}; it must name a module")
            plugin.module = module
        if plugin.on:
            with plugin.contained("registration"):
                _register(manager, plugin)
        names.add(plugin.name)
    return tuple(plugin for plugin, _ in loaded)


def implementation(plugin: Plugin, hook: str) -> Any | None:
    """The plugin's implementation of a hook, or None."""
    function = getattr(plugin.module, hook, None)
    return function if function is not None and hasattr(function, "factory_impl") else None


def priority(plugin: Plugin, hook: str) -> int:
    """Where it stands among the plugins that answer a first-result hook: ``tryfirst`` 0, ``trylast`` 2."""
    options: dict[str, Any] = getattr(implementation(plugin, hook), "factory_impl", {})
    return 0 if options.get("tryfirst") else 2 if options.get("trylast") else 1


def _described(entry: EntryPoint) -> Plugin:
    dist = entry.dist
    if dist is None:
        return Plugin(entry.name, entry.module, "", first_party=False)
    words = ",".join(dist.metadata.get_all("Keywords", [])).replace(" ", ",").split(",")
    return Plugin(entry.name, dist.name, dist.version, first_party=FIRST_PARTY_KEYWORD in words)


def _register(manager: pluggy.PluginManager, plugin: Plugin) -> None:
    """Let pluggy check arguments, then names: ``check_pending`` blames the only plugin that is new."""
    module = plugin.module
    assert module is not None  # noqa: S101  # imported just before
    _refuse_unmarked(module)
    manager.register(module, name=plugin.name)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        manager.unregister(name=plugin.name)
        raise PluginMistake(_misspelt(module) or str(error)) from error


def _refuse_unmarked(module: ModuleType) -> None:
    for name, value in vars(module).items():
        mine = inspect.isfunction(value) and value.__module__ == module.__name__
        if not (mine and name.startswith("factory_")):
            continue
        options: dict[str, Any] | None = getattr(value, "factory_impl", None)
        if options is None:
            raise PluginMistake(f"{name} has no @hookimpl, so it would never be called")
        if options.get("wrapper") or options.get("hookwrapper"):
            raise PluginMistake(f"{name} is a wrapper; hooks only register, so there is nothing to wrap")


def _misspelt(module: ModuleType) -> str:
    known = hook_names()
    for name, value in vars(module).items():
        if hasattr(value, "factory_impl") and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            return f"there is no hook {name}" + (f"; did you mean {close[0]}?" if close else "")
    return ""


def hook_names() -> Sequence[str]:
    """Every hook there is, in the order of ``hooks.py``."""
    return [name for name, value in vars(hooks).items() if hasattr(value, "factory_spec")]
