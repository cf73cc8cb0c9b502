"""Which keys name something inside the storage and nothing else, on every backend."""

from __future__ import annotations

import re

from factory_core.errors import UnsafeKey

__all__ = ["check_key"]

_LONGEST_KEY, _LONGEST_SEGMENT = 1024, 240
# Control characters, and what separates folders or drives elsewhere.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\:]")
# obstore names unfinished uploads so, and never lists them.
_UNFINISHED = re.compile(r"#\d+\Z")


def check_key(key: str) -> str:
    """The key as it came. Raises UnsafeKey."""
    try:
        segments = key.encode().split(b"/")
    except UnicodeEncodeError:
        raise UnsafeKey(ascii(key)) from None
    odd = any(segment in (b"", b".", b"..") or len(segment) > _LONGEST_SEGMENT for segment in segments)
    if odd or sum(map(len, segments)) > _LONGEST_KEY or _FORBIDDEN.search(key) or _UNFINISHED.search(key):
        raise UnsafeKey(key)
    return key
