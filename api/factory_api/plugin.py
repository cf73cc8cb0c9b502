"""What the API adds: everything under ``/api/v1``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from factory_core.hooks import hookimpl

if TYPE_CHECKING:
    from litestar import Router


@hookimpl
def factory_routes() -> Sequence[Router]:
    """The REST calls and event streams."""
    from factory_api.router import API

    return [API]
