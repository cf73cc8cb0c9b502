"""Servers a plugin can start when none is configured."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

__all__ = ["ServerSource"]


class ServerSource(Protocol):
    """Offers a URL and keeps the server behind it alive while ``start`` … ``stop`` last. Run by the supervisor only."""

    name: str

    def url(self, home: Path) -> str:
        """Where clients reach it, whether or not it runs."""
        ...

    def start(self, home: Path) -> None:
        """Start it unless it runs, and wait until it answers. Raises ServerStartError."""
        ...

    def alive(self, home: Path) -> bool:
        """Whether it answers now."""
        ...

    def stop(self, home: Path) -> None:
        """Stop it cleanly. Does nothing when it does not run."""
        ...
