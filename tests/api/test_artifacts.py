"""Handing out what was built."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_api.artifacts import span_of
from factory_api.errors import RangeUnfit

ARCHIVE = bytes(range(256)) * 40
HUGE = f"bytes={'9' * 5000}-"


@pytest.mark.anyio
async def test_an_archive_is_downloaded_in_both_kinds(client: Any, ended: Any) -> None:
    path = f"{await ended()}/artifact"
    whole = await client.get(path)
    assert (whole.status_code, whole.content) == (200, ARCHIVE)
    assert 'filename="taskboard.zip"' in whole.headers["content-disposition"]
    assert (await client.get(f"{path}?format=tar.gz")).content == ARCHIVE[::-1]
    assert (await client.get(f"{path}?format=rar")).status_code == 422
    head = await client.head(path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(ARCHIVE)))


@pytest.mark.anyio
async def test_an_interrupted_download_resumes_and_a_finished_one_is_not_repeated(
    client: Any, ended: Any
) -> None:
    path = f"{await ended()}/artifact"
    tag = (await client.head(path)).headers["etag"]
    rest = await client.get(path, headers={"range": "bytes=1000-", "if-range": tag})
    assert (rest.status_code, rest.content) == (206, ARCHIVE[1000:])
    assert rest.headers["content-range"] == f"bytes 1000-{len(ARCHIVE) - 1}/{len(ARCHIVE)}"
    changed = await client.get(path, headers={"range": "bytes=1000-", "if-range": '"another"'})
    assert (changed.status_code, changed.content) == (200, ARCHIVE)
    assert (await client.get(path, headers={"if-none-match": tag})).status_code == 304
    assert (await client.get(path, headers={"range": "bytes=999999-"})).status_code == 416


@pytest.mark.anyio
async def test_a_failed_build_has_no_archive_and_says_so(client: Any, ended: Any) -> None:
    path = await ended(failing=True)
    answer = await client.get(f"{path}/artifact")
    assert answer.status_code == 404
    assert answer.json()["state"] == "failed"


@pytest.mark.anyio
async def test_the_report_is_json(client: Any, ended: Any) -> None:
    assert (await client.get(f"{await ended()}/report")).json() == {"gates": []}


@given(st.integers(1, 50), st.one_of(st.none(), st.integers(0, 60)), st.one_of(st.none(), st.integers(0, 60)))
def test_a_range_is_inside_the_file_or_refused(size: int, first: int | None, last: int | None) -> None:
    header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    whole = range(size)
    try:
        start, end = span_of(header, size)
    except RangeUnfit:
        assert (first is not None and (first >= size or (last is not None and last < first))) or last == 0
        return
    assert 0 <= start < end <= size
    if first is None and last is None:
        assert (start, end) == (0, size)
    elif first is None:
        assert list(whole)[start:end] == list(whole)[-(last or 0) :]
    else:
        assert list(whole)[start:end] == list(whole)[first : None if last is None else last + 1]


def test_what_is_not_one_range_of_bytes_is_served_whole() -> None:
    assert [span_of(text, 9) for text in (None, "lines=1-2", "bytes=0-1,3-4", "bytes=x-y", HUGE)] == [
        (0, 9)
    ] * 5
