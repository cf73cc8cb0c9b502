"""Keeps blobs and artifacts in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from factory_core.contracts.health import HealthCheck
from factory_core.contracts.storage import Storage
from factory_core.hooks import Boot, hookimpl

from .settings import StorageSettings


@hookimpl
def factory_settings() -> type[Struct]:
    return StorageSettings


@hookimpl
def factory_storages(boot: Boot) -> Sequence[Storage]:
    from .service import LocalStorage  # obstore is loaded by those who store something

    return [LocalStorage(_folder(boot))]


@hookimpl
def factory_health(boot: Boot) -> Sequence[HealthCheck]:
    from .health import DiskSpace

    return [DiskSpace(_folder(boot), boot.settings(StorageSettings).minimum_free_mib)]


def _folder(boot: Boot) -> Path:
    configured = boot.settings(StorageSettings).folder
    return Path(configured).expanduser() if configured else boot.home / "storage"
