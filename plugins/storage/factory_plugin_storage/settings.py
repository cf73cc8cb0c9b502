"""Settings of the storage plugin, read from ``FACTORY_STORAGE_*``."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["StorageSettings"]


class StorageSettings(Struct, frozen=True, kw_only=True):
    folder: str = ""
    """Where the ``local`` backend keeps its files. Empty: the folder ``storage`` in FACTORY_HOME."""
    minimum_free_mib: int = 256
    """Less free space than this makes ``studio doctor`` and ``/health/ready`` complain."""
