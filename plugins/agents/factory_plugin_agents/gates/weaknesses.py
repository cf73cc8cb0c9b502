"""Gate ``security``: bandit has no high finding."""

from __future__ import annotations

from msgspec import Struct

from factory_core.contracts.agent import Finding, FindingLevel, GateResult, Outcome, Tools, Work
from factory_core.contracts.files import FileRef
from factory_core.contracts.sandbox import SandboxResult

from .evidence import decoded, failed

__all__ = ["Weakness", "check_security", "find_weaknesses"]

GATE = "security"
LIMIT = "0 high findings"
LEVELS = {"HIGH": FindingLevel.ERROR, "MEDIUM": FindingLevel.WARNING, "LOW": FindingLevel.INFO}
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


class _Summary(Struct):
    results: list[Weakness]
    errors: list[_Unread]


async def find_weaknesses(
    code: tuple[FileRef, ...], tools: Tools
) -> tuple[SandboxResult, list[Weakness] | None]:
    """What bandit says about the application; None when it could not say."""
    application = tuple(ref for ref in code if ref.path.startswith("app/") and ref.path.endswith(".py"))
    command = ("python", "-m", "bandit", "--recursive", "app", "--format", "json", "--quiet")
    result, _ = await tools.run(command, application)
    summary = decoded(result.stdout, _Summary)
    if result.exit_code not in ENDED_WELL or summary is None or summary.errors or not application:
        return result, None
    return result, summary.results


async def check_security(work: Work, tools: Tools) -> Outcome:
    """Passed without a finding of high severity; lesser ones are told."""
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
    return Outcome(gates=(gate,), findings=findings)
