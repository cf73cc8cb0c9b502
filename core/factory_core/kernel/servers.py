"""The servers of a command that needs no worker."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from factory_core.kernel.boot import Studio


@contextmanager
def servers_running(studio: Studio) -> Generator[None, None, None]:
    """Configured servers are left alone; embedded ones that do not run are started, and stopped in the end. A supervisor
    that comes meanwhile finds them running, and starts them again when we stop them. Raises ServerStartError."""
    with ExitStack() as stack:
        for source in (studio.database_source(), studio.queue_source()):
            if source is not None and not source.alive(studio.home):
                source.start(studio.home)
                stack.callback(source.stop, studio.home)
        yield
