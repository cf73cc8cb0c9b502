"""Wants a path of the platform."""

from litestar import get

from factory_core.hooks import hookimpl


@get("/api/v1/builds")
async def mine() -> str:
    return "mine"


@hookimpl
def factory_routes(boot):
    return [mine]
