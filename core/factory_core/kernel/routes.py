"""What paths a plugin's routes take, so that two plugins never take the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Router
from litestar.routes import HTTPRoute, WebSocketRoute


def route_keys(handlers: Sequence[Any]) -> tuple[str, ...]:
    """``GET /cards/{}`` for every method and path; parameters lose their names, since they do not tell paths apart."""
    keys: set[str] = set()
    for route in Router(path="/", route_handlers=list(handlers)).routes:
        path = "/" + "/".join(p if isinstance(p, str) else "{}" for p in route.path_components)
        if isinstance(route, HTTPRoute):
            keys |= {f"{method} {path}" for method in route.methods if method != "OPTIONS"}
        elif isinstance(route, WebSocketRoute):
            keys.add(f"WEBSOCKET {path}")
        else:
            keys.add(f"ASGI {path}")
    return tuple(sorted(keys))
