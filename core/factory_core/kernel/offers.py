"""Calling the hooks: each once, plugin by plugin; checking what comes back and naming the culprit."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from msgspec import Struct, structs

from factory_core.contracts.agent import Agent
from factory_core.contracts.health import HealthCheck
from factory_core.contracts.jobs import Job
from factory_core.contracts.migrator import Migrator
from factory_core.contracts.plan import Paradigm
from factory_core.contracts.servers import ServerSource
from factory_core.contracts.storage import Storage
from factory_core.kernel.conformance import missing_from
from factory_core.kernel.plugins import Plugin, PluginMistake, implementation
from factory_core.settings import variable_of


class Offer(Struct, frozen=True):
    """How the results of one hook are checked, told apart and shown."""

    shown: str
    """Heading on ``studio plugins``."""
    check: Callable[[Any], str]
    """What is wrong with one returned object, or nothing."""
    keys: Callable[[Any], Iterable[str]]
    """Names that no other plugin may use as well."""
    labels: Callable[[Any], Iterable[str]]


def _named(value: Any) -> Iterable[str]:
    return (value.name,)


def _protocol(protocol: type) -> Callable[[Any], str]:
    return lambda value: missing_from(value, protocol)


def _check_settings(value: Any) -> str:
    if not (isinstance(value, type) and issubclass(value, Struct)):
        return "is not a msgspec Struct class"
    return "" if value.__struct_config__.frozen else "is not frozen"


def _check_app(value: Any) -> str:
    from piccolo.conf.apps import AppConfig  # heavy, and only needed when a plugin brings tables

    if not isinstance(value, AppConfig):
        return "is not a piccolo.conf.apps.AppConfig"
    folder = Path(value.resolved_migrations_folder_path)
    return "" if folder.is_dir() else f"names the migrations folder {folder.name!r}, which does not exist"


def _check_route(value: Any) -> str:
    from litestar import Controller, Router  # heavy, and only needed when the web application is built
    from litestar.handlers import BaseRouteHandler

    good = isinstance(value, Router | BaseRouteHandler) or (
        isinstance(value, type) and issubclass(value, Controller)
    )
    return "" if good else "is not a Litestar router, controller or handler"


def _route_keys(value: Any) -> Iterable[str]:
    from factory_core.kernel.routes import route_keys  # heavy, as above

    return route_keys([value])


def _check_command(value: Any) -> str:
    name, target = value
    if not (isinstance(name, str) and name and not name.startswith("-")):
        return "has no usable name"
    module, _, function = target.partition(":") if isinstance(target, str) else ("", "", "")
    good = all(part.isidentifier() for part in [*module.split("."), function])
    return "" if good else f"is {target!r}, which is not of the form 'module:function'"


def _check_template(value: Any) -> str:
    if not isinstance(value, Path):
        return "is not a pathlib.Path"
    return "" if (value / "factory.toml").is_file() else "holds no factory.toml"


def _template_name(value: Path) -> Iterable[str]:
    return (str(tomllib.loads((value / "factory.toml").read_text(encoding="utf-8"))["name"]),)


def _tables(value: Any) -> Iterable[str]:
    return [table._meta.tablename for table in value.table_classes] or [value.app_name]


OFFERS: dict[str, Offer] = {
    "factory_settings": Offer("settings", _check_settings, lambda _: (), lambda _: ()),
    "factory_database_url": Offer("database", _protocol(ServerSource), lambda _: (), _named),
    "factory_queue_url": Offer("queue", _protocol(ServerSource), lambda _: (), _named),
    "factory_piccolo_apps": Offer("tables", _check_app, lambda app: (app.app_name,), _tables),
    "factory_migrator": Offer("migrator", _protocol(Migrator), lambda _: (), lambda m: (type(m).__name__,)),
    "factory_routes": Offer("routes", _check_route, _route_keys, _route_keys),
    "factory_jobs": Offer("jobs", lambda v: "" if isinstance(v, Job) else "is not a Job", _named, _named),
    "factory_commands": Offer("commands", _check_command, lambda c: (c[0],), lambda c: (c[0],)),
    "factory_storages": Offer("storages", _protocol(Storage), _named, _named),
    "factory_agents": Offer("agents", _protocol(Agent), _named, _named),
    "factory_templates": Offer("templates", _check_template, _template_name, _template_name),
    "factory_planners": Offer("planners", _protocol(Paradigm), _named, _named),
    "factory_health": Offer("health", _protocol(HealthCheck), _named, _named),
}


class Registry:
    """Who has which name already; the later plugin loses."""

    def __init__(self, reserved: Mapping[str, Iterable[str]]) -> None:
        self._owners: dict[tuple[str, str], str] = {
            (hook, key): "the kernel" for hook, keys in reserved.items() for key in keys
        }

    def claim(self, hook: str, plugin: Plugin, keys: Sequence[str]) -> None:
        """Take the names, all or none. Raises PluginMistake when one is taken."""
        for key in keys:
            owner = self._owners.get((hook, key))
            if owner is not None:
                raise PluginMistake(f"{key} is already there; {owner} brought it")
        if len(set(keys)) != len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise PluginMistake(f"{twice} is offered twice")
        self._owners.update({(hook, key): f"plugin {plugin.name}" for key in keys})

    def release(self, plugin: Plugin) -> None:
        """Give the names of a plugin that was switched off back."""
        mine = f"plugin {plugin.name}"
        self._owners = {key: owner for key, owner in self._owners.items() if owner != mine}


def ask(plugin: Plugin, hook: str, registry: Registry, **arguments: Any) -> None:
    """Call one hook of one plugin and keep what it offers, unless it is at fault."""
    function = implementation(plugin, hook)
    if function is None or not plugin.on:
        return
    with plugin.contained(hook):
        wanted = function.__code__.co_varnames[: function.__code__.co_argcount]
        results = _checked(hook, function(**{name: arguments[name] for name in wanted}))
        offer = OFFERS[hook]
        registry.claim(hook, plugin, [key for value in results for key in offer.keys(value)])
        plugin.offers[hook] = results
        labels = tuple(label for value in results for label in offer.labels(value))
        if hook == "factory_settings":
            labels = tuple(
                variable_of(plugin.name, field.name) for kind in results for field in structs.fields(kind)
            )
        plugin.labels[offer.shown] = labels
    if not plugin.on:
        registry.release(plugin)


def _checked(hook: str, returned: Any) -> tuple[Any, ...]:
    """The returned objects as a tuple. Raises PluginMistake for the first that is not what the hook asks for."""
    values = _items(hook, returned)
    for value in values:
        wrong = OFFERS[hook].check(value)
        if wrong:
            raise PluginMistake(f"it returned {_short(value)}, which {wrong}")
    return values


def _items(hook: str, returned: Any) -> tuple[Any, ...]:
    if hook in {"factory_settings", "factory_database_url", "factory_queue_url", "factory_migrator"}:
        return () if returned is None else (returned,)
    if hook == "factory_commands":
        if not isinstance(returned, Mapping):
            raise PluginMistake(
                f"it returned {_short(returned)}, which is not a mapping of names to 'module:function'"
            )
        return tuple(cast("Mapping[Any, Any]", returned).items())
    if isinstance(returned, str | bytes) or not isinstance(returned, Sequence):
        raise PluginMistake(f"it returned {_short(returned)}, which is not a sequence")
    return tuple(cast("Sequence[Any]", returned))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
