# ruff: noqa: S101 (a suite is made of assertions)
"""What every agent keeps, and tools to try one without a kernel."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from factory_core.contracts.agent import Agent, Board, Posted, Tools, Work
from factory_core.contracts.files import FileRef, Produced
from factory_core.contracts.sandbox import Limits, SandboxResult
from factory_core.errors import ObjectMissing, SandboxUnavailable

__all__ = ["AgentContract", "BenchBoard", "BenchTools"]


class BenchBoard:
    """A board in memory, for one agent alone."""

    def __init__(self) -> None:
        self._posted: dict[str, Posted] = {}

    async def get(self, key: str) -> Posted:
        """What stands there now."""
        return self._posted.get(key, Posted(key=key))

    async def put(self, key: str, value: str, *, version: int) -> Posted:
        """Write, if ``version`` is what stands there."""
        held = await self.get(key)
        if held.version != version:
            return replace(held, won=False)
        self._posted[key] = Posted(key=key, value=value, version=version + 1, task="bench")
        return self._posted[key]

    async def all(self, prefix: str = "") -> tuple[Posted, ...]:
        """What stands under keys that begin so, by key."""
        return tuple(posted for key, posted in sorted(self._posted.items()) if key.startswith(prefix))


class BenchTools:
    """Tools over files in memory. ``ran`` is what every command answers; without it there is no sandbox."""

    def __init__(
        self,
        contents: Mapping[str, bytes] | None = None,
        ran: tuple[SandboxResult, tuple[Produced, ...]] | None = None,
    ) -> None:
        self.lines: list[str] = []
        self.commands: list[tuple[str, ...]] = []
        self.facts: dict[str, Any] = {}
        self.board: Board = BenchBoard()
        self._contents = dict(contents or {})
        self._ran = ran

    async def read(self, ref: FileRef) -> bytes:
        """The content kept under the digest."""
        if ref.digest not in self._contents:
            raise ObjectMissing(ref.digest)
        return self._contents[ref.digest]

    async def log(self, message: str, *, level: str = "info") -> None:
        """Keep the line in ``lines``."""
        self.lines.append(f"{level}: {message}")

    async def run(
        self,
        command: tuple[str, ...],
        files: tuple[FileRef | Produced, ...],  # noqa: ARG002 (the contract's signature)
        *,
        limits: Limits | None = None,  # noqa: ARG002
        environment: dict[str, str] | None = None,  # noqa: ARG002
        collect: tuple[str, ...] = (),  # noqa: ARG002
    ) -> tuple[SandboxResult, tuple[Produced, ...]]:
        """Keep the command in ``commands`` and answer as told."""
        self.commands.append(command)
        if self._ran is None:
            raise SandboxUnavailable(
                "These tools have no sandbox. Give BenchTools what a command should answer."
            )
        return self._ran

    async def recall(self, keys: Iterable[str]) -> dict[str, Any]:
        """What is kept in ``facts``."""
        return {key: self.facts[key] for key in keys if key in self.facts}

    async def remember(self, facts: Mapping[str, Any]) -> None:
        """Keep them in ``facts``; the first of equal keys stays."""
        self.facts = {**facts, **self.facts}


@pytest.mark.anyio
class AgentContract:
    """Subclass it with fixtures ``agent`` and ``works``, and ``tools`` where the agent reads files or runs commands."""

    @pytest.fixture(scope="session")
    @classmethod
    def anyio_backend(cls) -> str:
        return "asyncio"

    @pytest.fixture
    def tools(self) -> Tools:
        return BenchTools()

    def test_it_has_a_name_and_a_version(self, agent: Agent) -> None:
        assert agent.name.isidentifier()
        assert agent.version

    async def test_equal_work_gives_equal_outcomes(
        self, agent: Agent, works: Sequence[Work], tools: Tools
    ) -> None:
        for work in works:
            first = await agent.run(work, tools)
            assert await agent.run(copy.deepcopy(work), tools) == first

    async def test_it_leaves_its_work_as_it_was(
        self, agent: Agent, works: Sequence[Work], tools: Tools
    ) -> None:
        for work in works:
            before = copy.deepcopy(work)
            await agent.run(work, tools)
            assert work == before

    async def test_its_paths_are_clean_and_unique(
        self, agent: Agent, works: Sequence[Work], tools: Tools
    ) -> None:
        for work in works:
            paths = [file.path for file in (await agent.run(work, tools)).files]
            assert len(set(paths)) == len(paths)
            assert [path for path in paths if not _is_clean(path)] == []

    async def test_its_data_survives_json(self, agent: Agent, works: Sequence[Work], tools: Tools) -> None:
        for work in works:
            data = (await agent.run(work, tools)).data
            assert msgspec.json.decode(msgspec.json.encode(data)) == data


def _is_clean(path: str) -> bool:
    segments = PurePosixPath(path).parts
    return (
        str(PurePosixPath(path)) == path
        and not path.startswith("/")
        and not {"..", "."} & set(segments)
        and "\\" not in path
    )
