"""A health check."""

from __future__ import annotations

from factory_core.contracts.health import HealthReport
from factory_plugin_good.tables import Note


class NotesAnswer:
    """Whether the notes can be counted."""

    name = "notes"

    async def check(self) -> HealthReport:
        """Counts them."""
        return HealthReport(ok=True, detail=f"{await Note.count()} notes")
