"""What the API adds: everything under ``/api/v1``, and a front door that leads to its documentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from factory_core.hooks import hookimpl

if TYPE_CHECKING:
    from litestar import Router
    from litestar.handlers import BaseRouteHandler


@hookimpl
def factory_routes() -> Sequence[Router | BaseRouteHandler]:
    """The REST calls and event streams."""
    from factory_api.router import API, front_door

    return [API, front_door]
