"""What the commands about builds begin with: a booted studio, its servers, a build's id."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID

from factory_core.errors import FactoryError

if TYPE_CHECKING:
    from factory_core.kernel.boot import Studio

__all__ = ["BuildIdWrong", "attached", "boot", "identify"]


class BuildIdWrong(FactoryError):
    """Not a build's id."""

    exit_code = 64

    def __init__(self, text: str) -> None:
        super().__init__(f"{text!r} is not the id of a build. 'studio builds list' shows them.")


def identify(text: str) -> UUID:
    """The id in ``text``. Raises BuildIdWrong."""
    try:
        return UUID(text)
    except ValueError:
        raise BuildIdWrong(text) from None


def boot() -> Studio:
    """Boot for a command whose output is for a person or a program: only errors are logged, and to stderr."""
    from factory_core.kernel.boot import start
    from factory_core.kernel.logs import configure_logging

    studio = start()
    configure_logging(studio.settings, level="error")
    return studio


def attached(action: Callable[[Studio], None]) -> None:
    """Do something with the studio of this home and its servers, which are started if need be."""
    from factory_core.kernel.embedded import attach

    studio = boot()
    with attach(studio):
        action(studio)
