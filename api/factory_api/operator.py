"""Who counts as the operator, as long as there are no accounts."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler

from factory_api.errors import OperatorOnly
from factory_core.settings import Secret

__all__ = ["is_operator", "make_operator", "operator_only"]

Asked = ASGIConnection[Any, Any, Any, Any]
Asking = Request[Any, Any, State]
LOOPBACK = frozenset({"127.0.0.1", "::1"})
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


def is_operator(request: Asked, token: Secret | None) -> bool:
    """Whoever sends the token; without one, whoever asks on this machine and not through a proxy."""
    if token:
        sent = request.headers.get("authorization", "").encode()
        return secrets.compare_digest(sent, f"Bearer {token.reveal()}".encode())
    local = request.client is not None and request.client.host in LOOPBACK
    return local and not any(name in request.headers for name in FORWARDED)


def make_operator(token: Secret | None) -> Callable[[Asking], bool]:
    """What gives routes their ``operator``: whether the caller is known as the operator."""

    def operator(request: Asking) -> bool:
        return is_operator(request, token)

    return operator


def operator_only(token: Secret | None) -> Callable[[Asked, BaseRouteHandler], None]:
    """A guard of routes; it raises OperatorOnly."""

    def guard(connection: Asked, _: BaseRouteHandler) -> None:
        if not is_operator(connection, token):
            raise OperatorOnly

    return guard
