"""Ordinary background work, run by arq beside the builds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

__all__ = ["Job"]


class Job(Struct, frozen=True, kw_only=True):
    """``run(**payload)`` in a worker. It may run twice: make it so that this does not matter.

    ``queue`` is ``notifications`` or ``analytics``; builds have their own path."""

    name: str
    run: Callable[..., Awaitable[Any]]
    queue: str = "notifications"
    timeout_seconds: float = 60.0
    attempts: int = 5
