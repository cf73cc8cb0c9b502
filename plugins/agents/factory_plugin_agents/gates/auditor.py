"""The agent that looks for what nobody asked for, what is missing, and what must not leave the house."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from fnmatch import fnmatchcase

from factory_core.contracts.agent import Finding, FindingLevel, GateResult, Outcome, Tools, Work
from factory_core.contracts.files import FileRef

from .weaknesses import find_weaknesses, told_weaknesses

__all__ = ["Auditor", "secrets_in"]

GATE = "audit"
LIMIT = "0 secrets"
LARGEST_READ = 1 << 20
SHORT_WORDS = 3
"""Words of up to so many letters say nothing about what a path is for."""
SECRETS = {
    "private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "AWS access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "GitHub token": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,}\b"),
    "Slack token": re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}"),
    "Stripe live key": re.compile(r"\b[rs]k_live_[A-Za-z0-9]{16,}"),
    "Google API key": re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b"),
    "password in a URL": re.compile(
        r"\b[a-z][a-z0-9+]*://[^\s/:@\"'{}$<]+:[^\s/@\"'{}$<]+@(?!localhost|127\.)[\w.-]+\.\w"
    ),
}


class Auditor:
    """Fails its gate for a secret in a file; all else it finds is told."""

    name = "auditor"
    version = "2"

    async def run(self, work: Work, tools: Tools) -> Outcome:
        """Findings about every file, the plan's forbidden words and the deliverables."""
        leaks = [finding async for finding in _leaks(work.inputs, tools)]
        findings = [*leaks, *_unwanted(work), *_missing(work), *await _weak(work, tools)]
        for finding in findings:
            await tools.log(
                f"{finding.path or work.params.get('work', GATE)}: {finding.message}", level=finding.level
            )
        gate = GateResult(
            name=GATE,
            passed=not leaks,
            figure=f"{len(leaks)} secrets",
            limit=LIMIT,
            detail="\n".join(f"{leak.path}:{leak.line} {leak.message}" for leak in leaks),
        )
        return Outcome(gates=(gate,), findings=tuple(findings))


def secrets_in(text: str) -> Iterator[tuple[int, str]]:
    """Line and kind of each; never the secret itself."""
    for number, line in enumerate(text.splitlines(), 1):
        for kind, shape in SECRETS.items():
            if shape.search(line):
                yield number, kind


async def _leaks(refs: Iterable[FileRef], tools: Tools) -> AsyncIterator[Finding]:
    for ref in refs:
        if ref.size <= LARGEST_READ:
            text = (await tools.read(ref)).decode(errors="replace")
            for line, kind in secrets_in(text):
                message = f"This looks like a secret: {kind}."
                yield Finding(
                    level=FindingLevel.ERROR, code="secret", message=message, path=ref.path, line=line
                )


def _unwanted(work: Work) -> Iterator[Finding]:
    """Paths that carry every word of a line of ``do_not_build``."""
    for wish in work.blueprint.do_not_build:
        wanted = {word for word in _words(wish) if len(word) > SHORT_WORDS}
        for ref in work.inputs:
            if wanted and wanted <= set(_words(ref.path)):
                message = f"The specification says not to build this: {wish}"
                yield Finding(level=FindingLevel.WARNING, code="do-not-build", message=message, path=ref.path)


def _missing(work: Work) -> Iterator[Finding]:
    """Deliverables that no file is, by its path or its name."""
    paths = [ref.path for ref in work.inputs]
    for name in work.blueprint.deliverables:
        if not any(fnmatchcase(path, name) or fnmatchcase(path.rpartition("/")[2], name) for path in paths):
            message = f"The deliverable {name} is not among the files."
            yield Finding(level=FindingLevel.INFO, code="deliverable", message=message, path=name)


async def _weak(work: Work, tools: Tools) -> list[Finding]:
    weaknesses = told_weaknesses(work)
    if weaknesses is None:
        _, weaknesses = await find_weaknesses(work.inputs, tools)
    if weaknesses is None:
        message = "bandit could not read the code."
        return [Finding(level=FindingLevel.WARNING, code="bandit", message=message)]
    severe = [each for each in weaknesses if each.issue_severity != "LOW"]
    return [
        Finding(
            level=FindingLevel.WARNING,
            code=each.test_id,
            message=each.issue_text,
            path=each.filename.removeprefix("./"),
            line=each.line_number,
        )
        for each in severe
    ]


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())
