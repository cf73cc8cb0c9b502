"""Agents: what turns one task's inputs into files and findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct

from factory_core.contracts.blueprint import Blueprint
from factory_core.contracts.files import FileRef, Produced
from factory_core.contracts.sandbox import Limits, SandboxResult
from factory_core.contracts.template import TemplatePackage

__all__ = [
    "AGAIN",
    "Agent",
    "Board",
    "CaseResult",
    "Finding",
    "FindingLevel",
    "GateResult",
    "Message",
    "Outcome",
    "Posted",
    "Spawn",
    "Tools",
    "Work",
]


class FindingLevel(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Finding(Struct, frozen=True, kw_only=True):
    """Something an agent noticed."""

    level: FindingLevel
    code: str
    message: str
    path: str = ""
    line: int = 0


class GateResult(Struct, frozen=True, kw_only=True):
    """A check that ran. ``figure`` and ``limit`` are text, such as ``91.4 %`` and ``>= 85 %``."""

    name: str
    passed: bool
    figure: str = ""
    limit: str = ""
    detail: str = ""
    """The last lines of the output, when it failed."""
    paths: tuple[str, ...] = ()
    """The files it failed on, where it can tell them from the others."""


class CaseResult(Struct, frozen=True, kw_only=True):
    """How an acceptance case ended."""

    name: str
    passed: bool
    requirements: tuple[str, ...] = ()
    detail: str = ""
    """All that was said of it, for whoever mends it."""
    step: int = 0
    """The number of the step that failed, counted from 1; 0 = none, or not known."""
    reason: str = ""
    """Why it failed, in a line or two."""


class Message(Struct, frozen=True, kw_only=True):
    """A letter of a neural mesh. It is sent with the task that wrote it and read in the next round."""

    to: str
    """The parameter ``peer`` of who reads it."""
    body: str
    sender: str = ""
    """The parameter ``peer`` of who wrote it; filled in by the kernel."""


class Posted(Struct, frozen=True, kw_only=True):
    """What stands under a key of a build's board. ``version`` counts its changes, from 1; 0 = nothing stands there."""

    key: str
    value: str = ""
    version: int = 0
    task: str = ""
    """Who wrote it."""
    won: bool = True
    """Whether the change that was asked for was made."""


AGAIN = "again"
"""The parameter of a task that is asked once more after the debugger: which time it is, from 1."""


class Spawn(Struct, frozen=True, kw_only=True):
    """A further task, inserted with the parent's commit as ``<parent>/<behaviour>/<n>``. Refused are slashes, the
    names of the studio's own behaviours (``debugger``, ``verify``, ``retry``, ``optimizer``, ``confirm``, ``audit``) and of
    its own agents (``planner``, ``merger``, ``harvester``, ``coordinator``, ``barrier``)."""

    behaviour: str
    n: int
    agent: str
    title: str = ""
    params: dict[str, str] = {}
    after: tuple[str, ...] = ()
    """Spawned beside it and listed before it, as ``<behaviour>/<n>``: it waits for them and reads their files."""
    scope: str = ""
    """What of the blueprint it reads; empty = what its parent reads."""
    optional: bool = False
    """The build is as good without it."""


class Work(Struct, frozen=True, kw_only=True):
    """All that one task may read. Equal work and equal agent version give an equal outcome."""

    task: str
    params: dict[str, str]
    """From the plan: ``work`` (name of the WorkSpec), ``node`` (entity, endpoint, view or case) and its own."""
    blueprint: Blueprint
    """Narrowed to what the task's scope may read."""
    template: TemplatePackage
    inputs: tuple[FileRef, ...]
    """The files of all tasks it stands after, paths unique."""
    release: tuple[FileRef, ...] = ()
    """Of the files of the release that the build stands on, those that its kind of work declares to read."""
    upstream: dict[str, dict[str, Any]] = {}
    """``task id -> Outcome.data`` of the tasks it stands directly after."""
    mail: tuple[Message, ...] = ()
    """What others wrote to the parameter ``peer`` of this task in the round before its parameter ``round``."""


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of it. ``failure`` set = the task failed, for the reason it gives; nothing else of it is then kept but
    findings and gates."""

    files: tuple[Produced, ...] = ()
    findings: tuple[Finding, ...] = ()
    gates: tuple[GateResult, ...] = ()
    cases: tuple[CaseResult, ...] = ()
    data: dict[str, Any] = {}
    """Small JSON for the tasks after it."""
    measures: dict[str, tuple[float, float]] = {}
    """What an optimizer measured before and after its changes, by name; less is better. Without one that went down its
    changes are not kept."""
    spawn: tuple[Spawn, ...] = ()
    mail: tuple[Message, ...] = ()
    """Read by the tasks of the next round. The task has the parameters ``peer`` and ``round``."""
    failure: str = ""


class Board(Protocol):
    """The blackboard of one build: what its agents agree on, by compare-and-set. A task that used it is not remembered for
    equal work, since its outcome may follow from what others wrote."""

    async def get(self, key: str) -> Posted:
        """What stands there now."""
        ...

    async def put(self, key: str, value: str, *, version: int) -> Posted:
        """Write, if ``version`` is what stands there; ``won`` tells. Repeating it after a lost answer wins again.
        Raises GivenUp when this try is no longer the task's own."""
        ...

    async def all(self, prefix: str = "") -> tuple[Posted, ...]:
        """What stands under keys that begin so, by key."""
        ...


class Tools(Protocol):
    """What the kernel lends an agent for one task."""

    board: Board

    async def read(self, ref: FileRef) -> bytes:
        """The content of an input."""
        ...

    async def log(self, message: str, *, level: str = "info") -> None:
        """A line in the build's log."""
        ...

    async def run(
        self,
        command: tuple[str, ...],
        files: tuple[FileRef | Produced, ...],
        *,
        limits: Limits | None = None,
        environment: dict[str, str] | None = None,
        collect: tuple[str, ...] = (),
    ) -> tuple[SandboxResult, tuple[Produced, ...]]:
        """Run a command in the sandbox over a private copy of ``files``, with the template's toolchain at /toolchain
        (``python`` in the command is its interpreter). ``collect`` are glob patterns of files to bring back.
        Raises SandboxUnavailable."""
        ...

    async def recall(self, keys: Iterable[str]) -> dict[str, Any]:
        """What this agent, in this version, remembered in any build of the organisation under these keys; those it does
        not know are left out. A key is a digest of all that the fact follows from, so that the outcome is the same
        whether or not a fact is found; which were found is told beside the report."""
        ...

    async def remember(self, facts: Mapping[str, Any]) -> None:
        """Keep facts (small JSON) under their keys. The first of equal keys stays."""
        ...


class Agent(Protocol):
    """One kind of work. Deterministic agents are pure functions of ``Work``; only ``tools.run`` leaves the process."""

    name: str
    """The kind: ``analyzer``, ``architect``, ``builder`` … of features.md F6."""
    version: str
    """Part of the memo key: change it when the outcome for equal work changes."""

    async def run(self, work: Work, tools: Tools) -> Outcome:
        """Do the task. An exception is a crash (retried); ``Outcome.failure`` is a verdict (not retried).

        It runs in the worker's event loop, which all tasks share: what takes long belongs into ``tools.run`` or a thread. A
        worker whose loop stands still for a minute is ended."""
        ...
