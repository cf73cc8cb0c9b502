"""What looks like a secret is not told on: in payloads by the names of their members, in texts by what stands before it.

A last resort. What must stay secret does not belong into payloads and messages in the first place.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["MASK", "masked", "masked_text"]

MASK = "********"
_LOOKED_AT = 65_536
_NAME = re.compile(r"pass|secret|token|credential|api_?key|authorization|cookie", re.IGNORECASE)
# "password=x", "'api_key': 'x'", "Authorization: Bearer x". The value ends with its quotation mark, or with the word.
_NAMED = re.compile(
    r"((?:password|passwd|passphrase|pwd|secret|token|credentials?|api[_-]?key|access[_-]?key|authorization|cookie)\w{0,40}"
    r"\\?[\"']?\s{0,9}[=:]\s{0,9}(?:(?:bearer|basic)\s{1,9})?)"
    r"(\\?\"[^\"]*\"?|\\?'[^']*'?|[^\s,;\"']+)",
    re.IGNORECASE,
)
# Headers as they are sent: words and pairs up to the end of the line.
_HEADER = re.compile(
    r"(\b(?:(?:set-)?cookie|(?:proxy-)?authorization)\s{0,9}:\s{0,9})[^\r\n\"']+", re.IGNORECASE
)
_IN_URL = re.compile(r"(://[^\s:/@]{0,200}:)\S{1,500}@")
_KNOWN = re.compile(
    r"(\b(?:bearer|basic)\s{1,9})[\w.~+/=-]{8,}|\b(?:sk-|gh[pousr]_|github_pat_|xox[abprs]-|AKIA|eyJ)[\w.-]{12,}",
    re.IGNORECASE,
)


def masked(value: Any) -> Any:
    """A decoded JSON value; what members of telling names hold is masked."""
    if isinstance(value, dict):
        items: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType] - members of decoded JSON have no known type
        return {name: MASK if _NAME.search(name) else masked(each) for name, each in items.items()}
    if isinstance(value, list):
        return [masked(each) for each in value]  # pyright: ignore[reportUnknownVariableType] - as above
    return value


def masked_text(text: str, most: int = 2000) -> str:
    """At most so many characters, such as a text column can hold; what looks like a secret is masked."""
    text = text[:_LOOKED_AT].replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    text = _IN_URL.sub(rf"\1{MASK}@", text)
    text = _HEADER.sub(rf"\1{MASK}", text)
    text = _NAMED.sub(rf"\1{MASK}", text)
    return _KNOWN.sub(lambda found: (found[1] or "") + MASK, text)[:most]
