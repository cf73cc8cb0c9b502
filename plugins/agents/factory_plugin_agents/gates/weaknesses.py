"""Gate ``security``: bandit has no high finding."""

from __future__ import annotations

import contextlib
import hashlib

import msgspec
from msgspec import Struct, to_builtins

from factory_core.contracts.agent import Finding, FindingLevel, GateResult, Outcome, Tools, Work
from factory_core.contracts.files import FileRef
from factory_core.contracts.sandbox import SandboxResult

from .evidence import decoded, failed

__all__ = ["Weakness", "check_security", "find_weaknesses", "told_weaknesses"]

GATE = "security"
LIMIT = "0 high findings"
LEVELS = {"HIGH": FindingLevel.ERROR, "MEDIUM": FindingLevel.WARNING, "LOW": FindingLevel.INFO}
VALIDATOR = "validator"
"""The agent of the gates."""
ENDED_WELL = (0, 1)


class Weakness(Struct, frozen=True):
    """One entry of bandit's ``results``."""

    filename: str
    issue_severity: str
    issue_text: str
    line_number: int
    test_id: str


class _Unread(Struct):
    filename: str
    reason: str


class _Told(Struct):
    """The gate's data: what was found, and the digest of the code it was found in."""

    weaknesses: list[Weakness]
    code: str


class _Summary(Struct):
    results: list[Weakness]
    errors: list[_Unread]


async def find_weaknesses(
    code: tuple[FileRef, ...], tools: Tools
) -> tuple[SandboxResult, list[Weakness] | None]:
    """What bandit says about the application; None when it could not say."""
    application = _application(code)
    command = ("python", "-m", "bandit", "--recursive", "app", "--format", "json", "--quiet")
    result, _ = await tools.run(command, application)
    summary = decoded(result.stdout, _Summary)
    if result.exit_code not in ENDED_WELL or summary is None or summary.errors or not application:
        return result, None
    return result, summary.results


async def check_security(work: Work, tools: Tools) -> Outcome:
    """Passed without a finding of high severity; lesser ones are told. Its data tell all of them, for the audit."""
    result, weaknesses = await find_weaknesses(work.inputs, tools)
    if weaknesses is None:
        return failed(GATE, result, LIMIT)
    high = [each for each in weaknesses if each.issue_severity == "HIGH"]
    gate = GateResult(
        name=GATE,
        passed=not high,
        figure=f"{len(high)} high, {len(weaknesses) - len(high)} lower",
        limit=LIMIT,
        detail="\n".join(f"{each.filename}:{each.line_number} {each.issue_text}" for each in high),
    )
    findings = tuple(
        Finding(
            level=LEVELS.get(each.issue_severity, FindingLevel.INFO),
            code=each.test_id,
            message=each.issue_text,
            path=each.filename.removeprefix("./"),
            line=each.line_number,
        )
        for each in weaknesses
    )
    return Outcome(
        gates=(gate,), findings=findings, data=to_builtins(_Told(weaknesses, _digest(work.inputs)))
    )


def told_weaknesses(work: Work) -> list[Weakness] | None:
    """What the template's own gate found in the same code; None when it told this task nothing of it. No other task is
    believed."""
    for kind in work.template.manifest.work:
        if kind.agent == VALIDATOR and kind.params.get("gate") == GATE and kind.name in work.upstream:
            with contextlib.suppress(msgspec.ValidationError):  # of an earlier version
                told = msgspec.convert(work.upstream[kind.name], _Told)
                if told.code == _digest(work.inputs):
                    return told.weaknesses
    return None


def _application(code: tuple[FileRef, ...]) -> tuple[FileRef, ...]:
    return tuple(ref for ref in code if ref.path.startswith("app/") and ref.path.endswith(".py"))


def _digest(code: tuple[FileRef, ...]) -> str:
    files = sorted((ref.path, ref.digest) for ref in _application(code))
    return hashlib.sha256(msgspec.json.encode(files)).hexdigest()
