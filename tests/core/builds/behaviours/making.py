"""What the agents of these tests make, and how its gates judge it. Tests are no packages: it is loaded by its path."""

from __future__ import annotations

from factory_core.contracts.agent import Finding, FindingLevel, GateResult, Outcome, Work
from factory_core.contracts.files import Produced
from factory_core.contracts.template import WorkSpec

WORKS = (
    WorkSpec(name="code", agent="builder"),
    WorkSpec(name="join", agent="integrator", stage="integrate", after=("code",)),
    WorkSpec(name="gate-lint", agent="validator", stage="verify", after=("join",), params={"gate": "lint"}),
    WorkSpec(name="gate-tests", agent="validator", stage="verify", after=("join",), params={"gate": "tests"}),
    WorkSpec(name="deliver", agent="harvester", stage="deliver", after=("gate-lint", "gate-tests")),
)
BROKEN, FIXED, BETTER, WORSE = b"bug", b"good", b"best", b"worse"


def file(content: bytes, path: str = "app/x.py") -> Outcome:
    return Outcome(files=(Produced(path=path, content=content),))


def gate(work: Work, code: bytes) -> Outcome:
    name = work.params["gate"]
    bad = {"lint": (BROKEN, WORSE), "tests": (BROKEN,)}[name]
    finding = Finding(level=FindingLevel.ERROR, code="F1", message="it is wrong", path="app/x.py", line=3)
    result = GateResult(name=name, passed=code not in bad, figure=code.decode(), detail="it is wrong")
    return Outcome(gates=(result,), findings=() if result.passed else (finding,))
