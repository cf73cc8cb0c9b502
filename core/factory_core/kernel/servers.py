"""The servers a command needs: configured ones are left alone, embedded ones run while the command does."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from factory_core.kernel.boot import Studio


@contextmanager
def servers_running(studio: Studio) -> Generator[None, None, None]:
    """Start the embedded servers that do not run, and stop those again in the end. Raises ServerStartError."""
    with ExitStack() as stack:
        for source in (studio.database_source(), studio.queue_source()):
            if source is not None and not source.alive(studio.home):
                source.start(studio.home)
                stack.callback(source.stop, studio.home)
        yield
