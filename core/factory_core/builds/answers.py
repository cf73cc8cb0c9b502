"""What a step of the journal answers, from its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from factory_core.builds.schemas import Assignment, Key, Turn

__all__ = ["turn_of"]


def turn_of(rows: Sequence[Any]) -> Turn:
    """The answer that these rows tell; the first column says what each is."""
    seqs: tuple[int | None, ...] = ()
    started: list[Assignment] = []
    revoked: list[Key] = []
    more, known = False, True
    for row in rows:
        match row[0]:
            case b"s":
                started.append(_assignment(row))
            case b"a":
                seqs = tuple(row[1])
            case b"r":
                revoked.append((row[2], row[3], row[4]))
            case b"m":
                more = True
            case _:
                known = False
    return Turn(seqs=seqs, started=tuple(started), revoked=tuple(revoked), more=more, known=known)


def _assignment(row: Any) -> Assignment:
    return Assignment(
        build=row[2],
        task=row[3],
        fence=row[4],
        org=row[5],
        agent=row[6],
        title=row[7],
        team=row[8],
        phase=row[9],
        scope=row[10],
        params=msgspec.json.decode(row[11]),
        tries=row[12],
        deadline_at=row[13],
        spec_digest=row[14],
        afresh=row[15],
    )
