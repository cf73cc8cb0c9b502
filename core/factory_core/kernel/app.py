"""The web application: the plugins' routes, health, documentation and problems. It boots with zero plugins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from litestar import Litestar
from litestar.config.response_cache import ResponseCacheConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, YamlRenderPlugin

from factory_core.kernel import health
from factory_core.kernel.boot import Studio, start
from factory_core.kernel.database import Database, open_database
from factory_core.kernel.hints import Hints
from factory_core.kernel.hosts import KnownHosts
from factory_core.kernel.logs import RequestLog, configure_logging
from factory_core.kernel.migrate import note_failed_migrations
from factory_core.kernel.problems import answer
from factory_core.kernel.queue import Queue, open_queue
from factory_core.kernel.reference import ReferencePage
from factory_core.kernel.version import VERSION

DOCS = "/api/docs"


def create_app(studio: Studio) -> Litestar:
    """Build the application. A third party's handler that Litestar refuses switches its plugin off."""
    for plugin in studio.plugins:
        if plugin.offers.get("factory_routes"):
            with plugin.contained("routes"):
                _application(plugin.offers["factory_routes"])
    return _application(studio.routes(), studio=studio, lifespan=[_lifespan(studio)])


def serve_app() -> RequestLog:
    """What the web server loads, once in each of its processes."""
    studio = start()
    configure_logging(studio.settings)
    asyncio.run(note_failed_migrations(studio))
    names = (*studio.settings.allowed_hosts, studio.settings.host)
    application: Any = create_app(studio)  # Litestar types its own ASGI narrower
    return RequestLog(KnownHosts(application, names))  # pyright: ignore[reportArgumentType]  # as above


def _application(
    routes: Sequence[Any],
    *,
    studio: Studio | None = None,
    lifespan: Sequence[Callable[[Litestar], AbstractAsyncContextManager[None]]] = (),
) -> Litestar:
    def give_studio() -> Studio | None:
        return studio

    return Litestar(
        route_handlers=[health.live, health.ready, *routes],
        dependencies={
            "studio": Provide(give_studio, sync_to_thread=False),
            "database": Provide(_give_database, sync_to_thread=False),
            "queue": Provide(_give_queue, sync_to_thread=False),
            "hints": Provide(_give_hints, sync_to_thread=False),
        },
        exception_handlers={Exception: answer},
        lifespan=list(lifespan),
        openapi_config=OpenAPIConfig(
            title="Factory Studio",
            version=VERSION,
            path=DOCS,
            render_plugins=[ReferencePage(), JsonRenderPlugin(), YamlRenderPlugin()],
        ),
        response_cache_config=ResponseCacheConfig(),
        logging_config=None,
        debug=False,
    )


def _give_database(state: State) -> Database | None:
    return state.get("database")


def _give_queue(state: State) -> Queue:
    return state["queue"]


def _give_hints(state: State) -> Hints:
    return state["hints"]


def _lifespan(studio: Studio) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def opened(app: Litestar) -> AsyncGenerator[None, None]:
        async with open_queue(studio) as queue, _database(app):
            app.state.queue = queue
            app.state.hints = hints = Hints(studio.queue_url())
            listener = asyncio.create_task(hints.run())
            try:
                yield
            finally:
                listener.cancel()
                await asyncio.gather(listener, return_exceptions=True)

    @asynccontextmanager
    async def _database(app: Litestar) -> AsyncGenerator[None, None]:
        if not (studio.settings.database_url or studio.database_source()):
            yield  # A kernel with nothing installed still answers, and says on /health/ready what it lacks.
            return
        async with open_database(studio.database_url(), studio.settings) as database:
            app.state.database = database
            yield

    return opened
