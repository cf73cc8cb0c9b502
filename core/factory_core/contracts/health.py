"""Health checks that plugins add."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

__all__ = ["HealthCheck", "HealthReport"]


class HealthReport(Struct, frozen=True, kw_only=True):
    """``detail`` says what is wrong and what to do about it."""

    ok: bool
    detail: str = ""


class HealthCheck(Protocol):
    """Asked by ``/health/ready`` and ``studio doctor``. Answers within two seconds or counts as failed."""

    name: str

    async def check(self) -> HealthReport: ...
