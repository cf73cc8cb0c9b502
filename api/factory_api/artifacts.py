"""Handing out what a build made: whole, in part, or not again."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from uuid import UUID

from litestar import Controller, HttpMethod, Response, route
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, QueryParameter

from factory_api.answers import IN_PART, UNCHANGED, problems
from factory_api.errors import RangeUnfit
from factory_api.service import BuildDesk

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")

Format = Annotated[
    Literal["zip", "tar.gz"], QueryParameter(name="format", description="The kind of archive.")
]
Part = Annotated[
    str | None, HeaderParameter(name="Range", description="One range of bytes, to resume a download.")
]
Unchanged = Annotated[
    str | None, HeaderParameter(name="If-Range", description="Honour Range only for this ETag.")
]
Known = Annotated[str | None, HeaderParameter(name="If-None-Match", description="The ETag you have.")]


class ArtifactRoutes(Controller):
    """``/api/v1/builds/{id}/artifact``."""

    path = "/builds"
    tags = ("artifacts",)

    @route(
        "/{build:uuid}/artifact",
        http_method=[HttpMethod.GET, HttpMethod.HEAD],
        summary="Download what was built",
        media_type="application/octet-stream",
        responses={**IN_PART, **UNCHANGED, **problems(404, 416)},
    )
    async def download(
        self,
        build: FromPath[UUID],
        desk: NamedDependency[BuildDesk],
        kind: Format = "zip",
        part: Part = None,
        unchanged: Unchanged = None,
        known: Known = None,
    ) -> Response[bytes]:
        """The archive: 200, 206 for a range, 304 for one you have, 404 before the build has passed."""
        ref, content = await desk.artifact(build, kind)
        tag = f'"{ref.sha256}"'
        headers = {
            "ETag": tag,
            "Accept-Ranges": "bytes",
            "Content-Disposition": f'attachment; filename="{ref.name}"',
        }
        if known == tag:
            return Response(b"", status_code=304, headers=headers)
        start, end = span_of(part if unchanged in (None, tag) else None, ref.size)
        partial = (start, end) != (0, ref.size)
        if partial:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{ref.size}"
        status = 206 if partial else 200
        return Response(content[start:end], status_code=status, media_type=ref.media_type, headers=headers)


def span_of(part: str | None, size: int) -> tuple[int, int]:
    """First byte and the byte after the last of a Range header; the whole for what we do not serve in parts.

    Raises RangeUnfit for a range outside."""
    match = _RANGE.fullmatch(part.strip()) if part else None
    if match is None or match[0] == "bytes=-":
        return 0, size
    if not match[1]:
        start, end = max(0, size - int(match[2])), size
    else:
        start, end = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
    if start >= end:
        raise RangeUnfit(size)
    return start, end
