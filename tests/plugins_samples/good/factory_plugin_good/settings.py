"""Read from FACTORY_GOOD_*."""

from __future__ import annotations

from msgspec import Struct


class NoteSettings(Struct, frozen=True):
    """How many notes are kept."""

    keep: int = 1
