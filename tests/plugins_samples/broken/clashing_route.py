"""Wants a path of the platform."""

from factory_core.hooks import hookimpl
from litestar import get


@get("/api/v1/builds")
async def mine() -> str:
    return "mine"


@hookimpl
def factory_routes(boot):
    return [mine]
