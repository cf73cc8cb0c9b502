"""The gates of one track, run over its files alone before it is merged."""

from __future__ import annotations

from msgspec import Struct, json

from factory_core.contracts.agent import Finding, FindingLevel, GateResult, Outcome, Tools, Work
from factory_core.contracts.files import Produced

from .files import released
from .gates.evidence import decoded, failed, inside

__all__ = ["check_branch"]

GATE = "branch"
LIMIT = "0 faults"
MOST_FINDINGS = 20
ORDER = ".gate/paths.json"


class _Answer(Struct):
    checked: dict[str, int]
    wrong: dict[str, list[tuple[str, str]]]


async def check_branch(work: Work, tools: Tools) -> Outcome:
    """The Python files in their tidy form, and a gate for each kind of check that had something to look at."""
    paths = sorted(ref.path for ref in work.inputs)
    order = Produced(path=ORDER, content=json.encode(paths))
    result, files = await tools.run(
        ("python", ".gate/branch_check.py", ORDER),
        (*work.inputs, inside("branch_check.py"), order),
        collect=("**/*.py",),
    )
    answer = decoded(result.stdout, _Answer) if result.exit_code == 0 else None
    if answer is None:
        return failed(GATE, result, LIMIT)
    before = {ref.path: ref for ref in work.inputs}
    changed = [
        file
        for file in files
        if (ref := before.get(file.path)) is not None
        and not released(ref, work)
        and (len(file.content) != ref.size or file.content != await tools.read(ref))
    ]
    gates = tuple(
        GateResult(
            name=name,
            passed=not answer.wrong[name],
            figure=f"{len(answer.wrong[name])} faults in {_files(count)}",
            limit=LIMIT,
            detail="\n".join(f"{path}: {message}" for path, message in answer.wrong[name][:MOST_FINDINGS]),
        )
        for name, count in answer.checked.items()
        if count
    )
    findings = [
        Finding(level=FindingLevel.ERROR, code=name, message=message, path=path)
        for name, faults in answer.wrong.items()
        for path, message in faults[:MOST_FINDINGS]
    ]
    await tools.log(f"{work.params['track']}: {_files(len(paths))} checked, {len(changed)} tidied")
    return Outcome(files=tuple(changed), gates=gates, findings=tuple(findings))


def _files(count: int) -> str:
    return f"{count} file" if count == 1 else f"{count} files"
