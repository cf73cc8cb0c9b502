"""The installed plugins, as far as tests need them."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import TypeVar

import pluggy
from msgspec import Struct

from factory_core import hooks
from factory_core.contracts.servers import ServerSource

__all__ = ["PlainBoot", "installed_servers"]

SettingsT = TypeVar("SettingsT", bound=Struct)


class PlainBoot:
    """A boot without configuration: every setting has its default."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def settings(self, kind: type[SettingsT]) -> SettingsT:
        """The defaults."""
        return kind()


def installed_servers(home: Path) -> tuple[ServerSource, ServerSource]:
    """The database and the queue that the installed plugins offer."""
    plugins = pluggy.PluginManager("factory")
    plugins.add_hookspecs(hooks)
    for point in entry_points(group="factory.plugins"):
        try:
            plugins.register(point.load(), point.name)
        except Exception:  # noqa: BLE001, S112 (a broken plugin offers no server; its own tests say what is wrong)
            continue
    boot = PlainBoot(home)
    database, queue = (
        _offer(plugins.hook.factory_database_url, boot),
        _offer(plugins.hook.factory_queue_url, boot),
    )
    return database, queue


def _offer(hook: Callable[..., ServerSource | None], boot: PlainBoot) -> ServerSource:
    source = hook(boot=boot)
    if source is None:
        raise LookupError("No installed plugin offers servers for tests. Install factory-plugin-embedded.")
    return source
