"""What one finished task leaves in the journal: an outcome whose files are references."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from factory_core.contracts.agent import CaseResult, Finding, GateResult, Outcome
from factory_core.contracts.files import FileRef

__all__ = ["Reuse", "TaskRecord"]


class Reuse(Struct, frozen=True, kw_only=True):
    """Something that was not done again: the build that did it, and the digest of all it follows from."""

    build: str
    digest: str


class TaskRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The deterministic part of an outcome: no durations, no hosts. Only ``origin`` and ``pieces`` tell of other builds,
    for the report beside the archive."""

    files: tuple[FileRef, ...] = ()
    findings: tuple[Finding, ...] = ()
    gates: tuple[GateResult, ...] = ()
    cases: tuple[CaseResult, ...] = ()
    data: dict[str, Any] = {}
    measures: dict[str, tuple[float, float]] = {}
    failure: str = ""
    origin: Reuse | None = None
    """The build that this outcome is of, and the digest of the work; None when it is not remembered."""
    pieces: tuple[Reuse, ...] = ()
    """What the agent knew of pieces of the work from other builds."""

    @classmethod
    def of(cls, outcome: Outcome, files: tuple[FileRef, ...]) -> TaskRecord:
        """The record of an outcome whose files were stored as ``files``."""
        return cls(
            files=files,
            findings=outcome.findings,
            gates=outcome.gates,
            cases=outcome.cases,
            data=outcome.data,
            measures=outcome.measures,
            failure=outcome.failure,
        )

    def to_json(self) -> dict[str, Any]:
        """As the journal stores it."""
        return msgspec.to_builtins(self)

    @classmethod
    def of_row(cls, task: str, document: object) -> TaskRecord:
        """The record of ``task`` from the journal. Its files name ``task`` as their producer, also when the outcome was
        remembered from another build. Raises msgspec.ValidationError when the journal holds something else."""
        record = msgspec.convert(document, cls)
        return replace(record, files=tuple(replace(ref, producer=task) for ref in record.files))
