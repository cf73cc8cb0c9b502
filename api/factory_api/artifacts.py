"""Handing out what a build made: whole, in part, or not again."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal
from uuid import UUID

from litestar import Controller, HttpMethod, Response, route
from litestar.params import Parameter
from litestar.response import Stream

from factory_api.errors import RangeUnfit
from factory_api.service import ARCHIVES, BuildDesk, etag_of

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")

Format = Annotated[Literal["zip", "tar.gz"], Parameter(query="format", description="The kind of archive.")]
Part = Annotated[
    str | None, Parameter(header="Range", description="One range of bytes, to resume a download.")
]
Unchanged = Annotated[
    str | None, Parameter(header="If-Range", description="Honour Range only for this ETag.")
]
Known = Annotated[str | None, Parameter(header="If-None-Match", description="The ETag you have.")]


class ArtifactRoutes(Controller):
    """``/api/v1/builds/{id}/artifact``."""

    path = "/builds"
    tags = ("artifacts",)

    @route(
        "/{build:uuid}/artifact",
        http_method=[HttpMethod.GET, HttpMethod.HEAD],
        summary="Download what was built",
        media_type="application/octet-stream",
    )
    async def download(
        self,
        build: UUID,
        desk: BuildDesk,
        kind: Format = "zip",
        part: Part = None,
        unchanged: Unchanged = None,
        known: Known = None,
    ) -> Stream | Response[None]:
        """The archive: 200, 206 for a range, 304 for one you have, 404 before the build has passed."""
        found = await desk.artifact(build, f".{kind}", "archive")
        tag = etag_of(found.key, found.size, found.modified)
        name = PurePosixPath(found.key).name
        headers = {
            "ETag": tag,
            "Accept-Ranges": "bytes",
            "Content-Disposition": f'attachment; filename="{name}"',
        }
        if known == tag:
            return Response(None, status_code=304, headers=headers)
        asked = part if unchanged in (None, tag) else None
        start, end = span_of(asked, found.size)
        partial = (start, end) != (0, found.size)
        headers["Content-Length"] = str(end - start)
        if partial:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{found.size}"
        content = desk.content(found.key, start=start, end=end)
        return Stream(
            content, status_code=206 if partial else 200, media_type=ARCHIVES[kind], headers=headers
        )


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
