"""Migrations of the kernel's and the plugins' tables."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

__all__ = ["MigrationState", "Migrator"]


class MigrationState(Struct, frozen=True, kw_only=True):
    """One migration. ``error`` is set when it was tried and failed, and when it is outdated."""

    app: str
    name: str
    applied: bool
    error: str = ""
    outdated: bool = False
    """Applied, but with other SQL than this version of it has. ``error`` says what to do."""


class Migrator(Protocol):
    """Applies migrations in dependency order under one advisory lock."""

    async def up(self, app: str | None = None) -> tuple[MigrationState, ...]:
        """Apply what is missing, and renew what may be. A third party's failing migration is reported and its plugin
        switched off."""
        ...

    async def down(self, app: str, to: str) -> tuple[MigrationState, ...]:
        """Take back the migrations of an app after ``to`` (``zero`` = all)."""
        ...

    async def status(self) -> tuple[MigrationState, ...]: ...
