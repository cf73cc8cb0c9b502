"""Answering only to the names this studio has: a page elsewhere that points its own name at us reads nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

__all__ = ["KnownHosts"]

MISDIRECTED = 421
"""RFC 9110, section 15.5.20."""


class KnownHosts:
    """An ASGI layer that refuses requests for other hosts (DNS rebinding). ``*`` accepts every name."""

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 421."""
        kind: Any = scope["type"]  # Litestar's type leaves out "lifespan", which servers send, too
        if kind == "lifespan" or "*" in self._names or _host(scope) in self._names:
            await self._app(scope, receive, send)
            return
        body = msgspec.json.encode(
            {
                "type": "about:blank",
                "title": "Misdirected Request",
                "status": MISDIRECTED,
                "detail": "This studio does not answer to that name. Add it to FACTORY_ALLOWED_HOSTS.",
            }
        )
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": MISDIRECTED, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def _host(scope: Scope) -> str:
    """The Host header without its port, in lower case."""
    value = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
    name, _, port = value.rpartition(":")
    return (name if name and port.isdigit() else value).lower()
