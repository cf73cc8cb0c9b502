"""Offers the NeoForge template."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from factory_core.hooks import hookimpl


@hookimpl
def factory_templates() -> Sequence[Path]:
    """The folder that holds ``factory.toml``."""
    return [Path(__file__).parent]
