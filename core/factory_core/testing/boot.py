"""The installed plugins, as far as tests need them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pluggy
from msgspec import Struct

from factory_core import hooks
from factory_core.builds.ids import uuid7
from factory_core.contracts.servers import ServerSource

__all__ = ["KeptJobs", "PlainBoot", "installed_servers"]

SettingsT = TypeVar("SettingsT", bound=Struct)


class KeptJobs:
    """A ``JobQueue`` that only remembers what it was asked, in order: ``asked`` holds names and payloads."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def enqueue(
        self,
        job: str,
        payload: Mapping[str, Any] | None = None,
        *,
        org: UUID | None = None,
        delay: float = 0.0,
        key: str = "",
    ) -> UUID:
        """Remember it; an id."""
        del org, delay, key
        self.asked.append((job, dict(payload or {})))
        return uuid7()


class PlainBoot:
    """A boot without configuration: every setting has its default."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.queue = KeptJobs()

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
