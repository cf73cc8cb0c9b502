"""What else an endpoint may answer, for the documentation of the API. Problems are all of one form (RFC 9457)."""

from __future__ import annotations

from typing import Any

from litestar.openapi import ResponseSpec

from factory_api.schemas import BuildView
from factory_core.kernel.problems import MEDIA_TYPE, Problem

__all__ = ["AS_BEFORE", "IN_PART", "OVER", "UNCHANGED", "problems"]

_SAID = {
    400: "The request cannot be read, such as JSON that is none.",
    403: "The caller may not.",
    404: "There is nothing under this id, or it is another organisation's.",
    409: "Not in the state that it is in; the detail names the next step.",
    415: "The body is not sent as application/json.",
    416: "The range lies outside the archive.",
    422: "The request is not valid; errors names the fields.",
    429: "As much waits as may; Retry-After says for how many seconds to leave it.",
    503: "What the studio stands on is away.",
}

Answers = dict[int, ResponseSpec]

AS_BEFORE: Answers = {
    200: ResponseSpec(
        BuildView, description="The one that the same Idempotency-Key made before.", generate_examples=False
    )
}
UNCHANGED: Answers = {
    304: ResponseSpec(None, description="You have it: the ETag sent in If-None-Match is its own.")
}
OVER: Answers = {204: ResponseSpec(None, description="To a stream: all is told, do not come back.")}
IN_PART: Answers = {
    206: ResponseSpec(
        bytes,
        description="The range that was asked for.",
        media_type="application/octet-stream",  # pyright: ignore[reportArgumentType]  # any type works
        generate_examples=False,
    )
}


def problems(*codes: int) -> Answers:
    """The problems an endpoint answers with; those of any request that is malformed or finds no database included."""
    kind: Any = MEDIA_TYPE
    return {
        code: ResponseSpec(Problem, description=_SAID[code], media_type=kind, generate_examples=False)
        for code in sorted({400, 422, 503, *codes})
    }
