"""Logs as JSON lines, and the request id that joins a line to a response."""

from __future__ import annotations

import logging
import re
import sys
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import structlog

from factory_core.settings import KernelSettings

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

_GIVEN = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_HEADER = b"x-request-id"

_log: Any = structlog.get_logger("factory.web")


def configure_logging(settings: KernelSettings, *, level: str = "") -> None:
    """Send our lines and those of libraries to stderr in one shape; ``level`` instead of the settings'."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    console = settings.log_format == "console"
    renderer: Any = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    last = [renderer] if console else [structlog.processors.format_exc_info, renderer]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=(level or settings.log_level).upper(), force=True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def request_id() -> str:
    """The id of the request being answered, or nothing outside one."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


class RequestLog:
    """Outermost ASGI layer: gives every request an id, every answer that id, and every request one log line."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; anything but HTTP passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(_HEADER, b"")
        identity = given if _GIVEN.fullmatch(given) else uuid4().hex.encode()
        started, status = time.perf_counter(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (_HEADER, identity)]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=identity.decode()):
            try:
                await self._app(scope, receive, answer)
            finally:
                took = round((time.perf_counter() - started) * 1000, 1)
                _log.info("request", method=scope["method"], path=scope["path"], status=status, ms=took)
