"""Evidence made into a report."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from msgspec.structs import replace

from factory_core.contracts.acceptance import AcceptanceCase
from factory_core.planning.graph import finish_times

from .evidence import Evidence, Proof
from .products import deliverable_rows, not_built_rows, target_rows, unmet_technology
from .report import (
    REPORT_JSON,
    REPORT_MARKDOWN,
    AcceptanceRow,
    AssumptionRow,
    BuildReport,
    FileRow,
    FindingRow,
    GateRow,
    PlanFigures,
    ProjectFacts,
    RegionRow,
    ReleaseRow,
    RunFacts,
    WindowRow,
)
from .states import node_rows, requirement_rows

__all__ = ["make_report", "with_run"]


def make_report(evidence: Evidence) -> BuildReport:
    """The report that goes into the archive: equal evidence gives an equal report."""
    proof = Proof(evidence)
    blueprint, plan = evidence.blueprint, evidence.plan
    requirements = requirement_rows(proof)
    acceptance = _acceptance(proof)
    gates = tuple(
        GateRow(name=gate.name, passed=gate.passed, figure=gate.figure, limit=gate.limit)
        for gate in evidence.gates
    )
    passed = [
        *(gate.passed for gate in gates),
        *(row.passed for row in acceptance),
        *(row.optional for row in evidence.failures),
    ]
    return BuildReport(
        passed=bool(gates) and all(passed),
        project=ProjectFacts(
            name=blueprint.project.name, slug=blueprint.project.slug, template=evidence.manifest.name
        ),
        requirements=requirements,
        nodes=node_rows(proof, requirements),
        files=_files(evidence),
        gates=gates,
        acceptance=acceptance,
        assumptions=(
            *(
                AssumptionRow(text=item.text, path=item.path, line=item.line)
                for item in blueprint.assumptions
            ),
            *(AssumptionRow(text=text) for text in plan.assumptions),
            *_budget(evidence),
        ),
        plan=_figures(evidence),
        versions=evidence.versions,
        technology_not_met=unmet_technology(evidence),
        deliverables=deliverable_rows(evidence),
        do_not_build=not_built_rows(evidence),
        targets=target_rows(evidence),
        references=blueprint.references,
        findings=tuple(
            FindingRow(level=item.level, code=item.code, message=item.message, path=item.path, line=item.line)
            for item in evidence.findings
        ),
        failures=evidence.failures,
        tracks=evidence.tracks,
        optimization=evidence.optimization,
        release=tuple(ReleaseRow(path=ref.path, sha256=ref.digest) for ref in evidence.release),
    )


def _budget(evidence: Evidence) -> Iterator[AssumptionRow]:
    """How far the budget is kept, beside its line."""
    blueprint = evidence.blueprint
    if blueprint.constraints.budget_nano_usd is None:
        return
    quoted = f"${evidence.plan.quote.nano_usd / 1e9:.2f}"
    text = (
        f"The budget was compared with the plan's quote, {quoted}, before anything started. What agents spend while a build "
        "runs is not counted; the studio's own call no model and cost nothing"
    )
    found = [node for node in blueprint.nodes if node.part == "constraint:budget"]
    yield AssumptionRow(text=text, path=found[0].path if found else "", line=found[0].line if found else 0)


def with_run(report: BuildReport, run: RunFacts) -> BuildReport:
    """The report that goes beside the archive."""
    return replace(report, run=run)


def _figures(evidence: Evidence) -> PlanFigures:
    plan = evidence.plan
    ends = finish_times(plan.tasks)
    windows = [
        WindowRow(
            phase=phase.name,
            opens_minutes=phase.window_minutes[0],
            closes_minutes=phase.window_minutes[1],
            planned_seconds=round(
                max((ends[task.id] for task in plan.tasks if task.phase == phase.name), default=0.0), 3
            ),
        )
        for phase in evidence.blueprint.phases
        if phase.window_minutes is not None
    ]
    return PlanFigures(
        tasks=plan.quote.tasks,
        agents=plan.quote.agents,
        scale=plan.scale,
        paradigm=plan.paradigm,
        regions=tuple(
            RegionRow(name=one.name, paradigm=one.paradigm, tasks=len(one.tasks), reason=one.reason)
            for one in plan.regions
        ),
        windows=tuple(windows),
        added=evidence.added,
    )


def _acceptance(proof: Proof) -> tuple[AcceptanceRow, ...]:
    return tuple(_case(case, proof) for case in proof.blueprint.acceptance)


def _case(case: AcceptanceCase, proof: Proof) -> AcceptanceRow:
    failed = proof.failed(case)
    step = failed.step if failed else 0
    return AcceptanceRow(
        name=case.name,
        requirement=case.requirements,
        passed=proof.result(case) is True,
        ran=proof.result(case) is not None,
        line=case.steps[step - 1].line if 0 < step <= len(case.steps) else case.line,
        reason=failed.reason if failed else "",
    )


def _files(evidence: Evidence) -> tuple[FileRow, ...]:
    """Every file but the report, which cannot hold its own digest."""
    rows = [
        FileRow(path=file.path, sha256=hashlib.sha256(file.content).hexdigest(), producer=made.producer)
        for made in evidence.contributions
        for file in made.files
        if file.path not in (REPORT_JSON, REPORT_MARKDOWN)
    ]
    return tuple(sorted(rows, key=lambda row: row.path.encode()))
