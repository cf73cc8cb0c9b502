"""Settings of the API, read from ``FACTORY_API_*``."""

from __future__ import annotations

from msgspec import Struct

from factory_core.settings import Secret

__all__ = ["ApiSettings"]


class ApiSettings(Struct, frozen=True, kw_only=True):
    metrics_token: Secret | None = None
    """Who sends it as bearer token may read ``/metrics``. Without one only this machine may, and no proxy."""
    operator_token: Secret | None = None
    """Who sends it as bearer token may set the shares of organisations. Without one only this machine may, and no proxy."""
