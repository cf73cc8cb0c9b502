"""The one place where errors become RFC 9457 problems."""

from __future__ import annotations

import math
import re
from http import HTTPStatus
from typing import Any, cast

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from msgspec import Struct

from factory_core.errors import FactoryError
from factory_core.kernel.logs import request_id

MEDIA_TYPE = "application/problem+json"
Connection = Request[Any, Any, Any]

_log = structlog.get_logger("factory.problems")
_PATH = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")


class FieldError(Struct, frozen=True):
    """What is wrong with one field of a request; ``field`` is empty for the request as a whole."""

    field: str
    message: str


class Problem(Struct, frozen=True, kw_only=True):
    """The members of RFC 9457. An error's facts stand beside them as extension members."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str = ""
    request_id: str = ""
    errors: tuple[FieldError, ...] = ()


def answer(request: Connection, error: Exception) -> Response[bytes]:
    """Turn any exception into the response the client sees. Tracebacks go to the log, never to the client."""
    status, body, headers = _described(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("request failed", path=request.url.path, exc_info=error)
    members = {"instance": request.url.path, "request_id": request_id(), **body}
    content = msgspec.json.encode(members, enc_hook=str)
    return Response(content, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def _described(error: Exception) -> tuple[int, dict[str, Any], dict[str, str]]:
    if isinstance(error, FactoryError):
        return error.status, _factory(error), _patience(error)
    if isinstance(error, msgspec.ValidationError):
        return 422, _invalid((_from_message(str(error)),)), {}
    if isinstance(error, ValidationException):
        return 422, _invalid(_from_extra(error.extra) or (FieldError("", error.detail),)), {}
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.BAD_REQUEST:
        return _bad_request(error)
    if isinstance(error, HTTPException) and error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return error.status_code, _plain(error.status_code, error.detail), dict(error.headers or {})
    detail = "Something failed on our side and was logged. Try again; if it stays, report the request_id."
    return 500, _plain(500, detail), {}


def _factory(error: FactoryError) -> dict[str, Any]:
    slug = error.code or re.sub(r"(?<!^)(?=[A-Z])", "-", type(error).__name__).lower()
    facts = {name: value for name, value in error.facts().items() if name not in Problem.__struct_fields__}
    problem = _plain(error.status, str(error)) | {"type": f"urn:factory:problem:{slug}"}
    errors = error.facts().get("errors")
    return {**facts, **problem, **({"errors": errors} if errors else {})}


def _patience(error: FactoryError) -> dict[str, str]:
    """Errors that know when to come back say so (RFC 9110, section 10.2.3)."""
    seconds: Any = error.facts().get("retry_after")
    return {} if seconds is None else {"Retry-After": str(math.ceil(seconds))}


def _plain(status: int, detail: str) -> dict[str, Any]:
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}


def _invalid(errors: tuple[FieldError, ...]) -> dict[str, Any]:
    named = "; ".join(f"{e.field}: {e.message}" if e.field else e.message for e in errors)
    problem = _plain(422, f"The request is not valid. {named}")
    return {**problem, "type": "urn:factory:problem:invalid-request", "errors": errors}


def _bad_request(error: HTTPException) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Litestar answers 400 both to what is no JSON and to JSON of the wrong shape; only the latter has a field."""
    cause = error.__cause__.__cause__ if error.__cause__ else None
    if isinstance(cause, msgspec.ValidationError):
        return 422, _invalid((_from_message(str(cause)),)), {}
    return 400, _plain(400, error.detail), dict(error.headers or {})


def _from_message(message: str) -> FieldError:
    """msgspec ends its messages with the place: ``Expected `int`, got `str` - at `$.steps[0]```."""
    match = _PATH.search(message)
    field = match["path"] if match else ""
    unknown = re.fullmatch(
        r"Object contains unknown field `(.+)`", message[: match.start()] if match else message
    )
    if unknown:
        return FieldError(f"{field}.{unknown[1]}".lstrip("."), "is not a known field")
    missing = re.fullmatch(
        r"Object missing required field `(.+)`", message[: match.start()] if match else message
    )
    if missing:
        return FieldError(f"{field}.{missing[1]}".lstrip("."), "is required")
    return FieldError(field, message[: match.start()] if match else message)


def _from_extra(extra: Any) -> tuple[FieldError, ...]:
    rows = cast("list[Any]", extra) if isinstance(extra, list) else []
    found: list[FieldError] = []
    for row in rows:
        parsed = _from_message(str(row.get("message", "")))
        place = ".".join(part for part in (str(row.get("key", "")), parsed.field) if part)
        found.append(FieldError(place.removeprefix("data.").removeprefix("data"), parsed.message))
    return tuple(found)
