"""What an agent remembers of the pieces of its work, in the same memo as whole outcomes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Protocol
from uuid import UUID

import msgspec

from factory_core.builds.record import Reuse

__all__ = ["KeepsMemos", "PieceMemo", "Pieces"]


class KeepsMemos(Protocol):
    """What is needed of the journal."""

    async def memos(self, org: UUID, digests: Iterable[str]) -> dict[str, dict[str, Any]]: ...

    async def remember(
        self, org: UUID, facts: Mapping[str, Mapping[str, Any]], *, instead: bool = False
    ) -> None: ...


class Pieces:
    """A memory as long as one task: what tools have that nobody gave one."""

    def __init__(self) -> None:
        self._facts: dict[str, Any] = {}

    async def recall(self, keys: Iterable[str]) -> dict[str, Any]:
        """Those of the keys that are known, with their facts."""
        return {key: self._facts[key] for key in keys if key in self._facts}

    async def remember(self, facts: Mapping[str, Any]) -> None:
        """Keep facts; the first of equal keys stays."""
        self._facts = {**facts, **self._facts}


class PieceMemo(Pieces):
    """The memory of one kind of agent in one organisation, used by one task of ``build``. Keys of different agents, or of
    versions of one agent, never meet, nor do they meet the digests of whole outcomes. ``afresh``: nothing is recalled, and
    what is remembered takes the place of what was."""

    def __init__(
        self, memos: KeepsMemos, org: UUID, build: UUID, agent: str, version: str, *, afresh: bool = False
    ) -> None:
        self._memos = memos
        self._org = org
        self._build = str(build)
        self._agent = agent
        self._version = version
        self._afresh = afresh
        self._found: dict[str, Reuse] = {}

    @property
    def reused(self) -> tuple[Reuse, ...]:
        """What was recalled from other builds, in order of the digests."""
        return tuple(self._found[digest] for digest in sorted(self._found))

    async def recall(self, keys: Iterable[str]) -> dict[str, Any]:
        """Those of the keys that are known, with their facts."""
        if self._afresh:
            return {}
        digests = {self._digest(key): key for key in keys}
        found = await self._memos.memos(self._org, digests)
        for digest, kept in found.items():
            if kept["build"] != self._build:
                self._found[digest] = Reuse(build=kept["build"], digest=digest)
        return {digests[digest]: kept["fact"] for digest, kept in found.items()}

    async def remember(self, facts: Mapping[str, Any]) -> None:
        """Keep facts; the first of equal keys stays, unless the work is done afresh."""
        kept = {self._digest(key): {"build": self._build, "fact": fact} for key, fact in facts.items()}
        if kept:
            await self._memos.remember(self._org, kept, instead=self._afresh)

    def _digest(self, key: str) -> str:
        facts = ["piece", self._agent, self._version, key]
        return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()
