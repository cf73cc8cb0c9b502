"""What the API adds: everything under ``/api/v1``, ``/metrics``, and a front door that leads to its documentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from factory_api.settings import ApiSettings
from factory_core.hooks import Boot, hookimpl

if TYPE_CHECKING:
    from litestar import Router
    from litestar.handlers import BaseRouteHandler


@hookimpl
def factory_settings() -> type[Struct]:
    return ApiSettings


@hookimpl
def factory_routes(boot: Boot) -> Sequence[Router | BaseRouteHandler]:
    """The REST calls, event streams and metrics."""
    from factory_api.metrics import make_metrics
    from factory_api.router import front_door, make_api

    settings = boot.settings(ApiSettings)
    return [make_api(settings.operator_token), make_metrics(settings.metrics_token), front_door]
