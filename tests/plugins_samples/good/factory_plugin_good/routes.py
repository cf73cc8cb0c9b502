"""Calls under /api/v1/notes."""

from __future__ import annotations

from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody
from msgspec import Struct

from factory_core.contracts.jobs import JobQueue
from factory_plugin_good.tables import Note


class NewNote(Struct, frozen=True, forbid_unknown_fields=True):
    """What to remember."""

    text: str


def adding(queue: JobQueue) -> HTTPRouteHandler:
    """The call that adds a note, and asks in the same transaction for the tidying that this makes necessary."""

    @post("/api/v1/notes", tags=["notes"], summary="Add a note")
    async def add_note(data: JSONBody[NewNote]) -> NewNote:
        """Keeps a note."""
        async with Note._meta.db.transaction():
            await Note.insert(Note(text=data.text))
            await queue.enqueue("good_tidy")
        return data

    return add_note


@get("/api/v1/notes", tags=["notes"], summary="List notes")
async def list_notes() -> list[str]:
    """All notes, oldest first."""
    return [row["text"] for row in await Note.select(Note.text).order_by(Note.id)]
