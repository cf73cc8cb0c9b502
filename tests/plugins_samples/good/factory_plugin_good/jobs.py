"""Background work."""

from __future__ import annotations

from factory_core.contracts.jobs import Job
from factory_plugin_good.tables import Note


def tidy_job(keep: int) -> Job:
    """Deletes all but the newest ``keep`` notes; running twice changes nothing more."""

    async def tidy() -> None:
        newest = await Note.select(Note.id).order_by(Note.id, ascending=False).limit(keep)
        await Note.delete().where(Note.id.not_in([row["id"] for row in newest] or [0]))

    return Job(name="good_tidy", run=tidy)
