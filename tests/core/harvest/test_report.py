from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_core.builds.harvest import (
    BuildReport,
    Contribution,
    Evidence,
    FailureRow,
    make_report,
)
from factory_core.contracts.agent import CaseResult, GateResult
from factory_core.contracts.blueprint import (
    AcceptanceCase,
    Blueprint,
    Constraints,
    Node,
    NodeState,
    RequirementState,
    Step,
)
from factory_core.contracts.plan import Team
from factory_core.contracts.template import TemplatePackage
from factory_core.planning import HierarchicalPlanner

replace = msgspec.structs.replace


def state(report: BuildReport, name: str) -> RequirementState:
    return next(row.state for row in report.requirements if row.id == name)


class TestRequirements:
    def test_a_passing_case_proves(self, evidence: Callable[..., Evidence]) -> None:
        row = make_report(evidence()).requirements[0]
        assert (row.id, row.state) == ("R-case", RequirementState.PROVEN)
        assert row.evidence == ('case "finishing" passed', "code: app/actions/finish.py")

    def test_a_failing_case_fails_even_beside_passing_ones(self, evidence: Callable[..., Evidence]) -> None:
        broken = (*evidence().cases, CaseResult(name="finishing", passed=False))
        assert state(make_report(evidence(cases=broken)), "R-case") is RequirementState.FAILED

    def test_a_failing_case_is_told_by_the_line_of_its_step(
        self, evidence: Callable[..., Evidence], blueprint_of: Callable[..., Blueprint]
    ) -> None:
        steps = tuple(Step(method="GET", path="/cards", line=line) for line in (21, 22))
        finishing = AcceptanceCase(name="finishing", steps=steps, line=20)
        spec = blueprint_of(acceptance=(finishing,))

        def row(**found: Any) -> tuple[int, str]:
            told = make_report(evidence(spec, cases=(CaseResult(name="finishing", **found),))).acceptance[0]
            return told.line, told.reason

        assert row(passed=False, step=2, reason="no") == (22, "no")
        assert row(passed=False, step=3, reason="no") == (20, "no")
        assert row(passed=False) == (20, "")
        assert row(passed=True) == (20, "")

    def test_a_case_that_did_not_run_proves_nothing(self, evidence: Callable[..., Evidence]) -> None:
        report = make_report(evidence(cases=()))
        assert state(report, "R-case") is RequirementState.NOT_UNDERSTOOD
        assert 'case "finishing" did not run' in report.requirements[0].evidence
        assert not report.passed

    def test_a_case_can_be_named_by_the_requirement(self, evidence: Callable[..., Evidence]) -> None:
        assert state(make_report(evidence()), "R-by-case") is RequirementState.PROVEN

    @pytest.mark.parametrize("name", ["R-field", "R-crud", "R-by", "R-by-view", "R-by-crud"])
    def test_linked_code_with_passing_contract_tests_is_built(
        self, evidence: Callable[..., Evidence], name: str
    ) -> None:
        assert state(make_report(evidence()), name) is RequirementState.BUILT

    @pytest.mark.parametrize("name", ["R-field", "R-crud", "R-by", "R-by-crud"])
    def test_without_code_or_contract_tests_nothing_is_built(
        self, evidence: Callable[..., Evidence], made: Callable[..., Contribution], name: str
    ) -> None:
        failing = (replace(evidence().gates[0], passed=False),)
        only_tests = (made("checks/Card", "tests/test_card.py"),)
        for broken in (evidence(gates=failing), evidence(gates=()), evidence(contributions=only_tests)):
            assert state(make_report(broken), name) is RequirementState.NOT_UNDERSTOOD

    def test_an_endpoint_that_answers_501_is_stubbed(self, evidence: Callable[..., Evidence]) -> None:
        report = make_report(evidence())
        assert state(report, "R-stub") is RequirementState.STUBBED
        assert report.requirements[2].evidence == ("POST /magic answers 501",)

    def test_what_nothing_is_linked_with_is_not_understood(self, evidence: Callable[..., Evidence]) -> None:
        assert state(make_report(evidence()), "R-alone") is RequirementState.NOT_UNDERSTOOD


class TestNodes:
    @pytest.mark.parametrize(
        ("part", "expected"),
        [
            ("entity:Card", NodeState.BUILT),
            ("field:Card.title", NodeState.BUILT),
            ("field:Ghost.title", NodeState.NOT_UNDERSTOOD),
            ("rule:Card: estimate >= 0", NodeState.BUILT),
            ("states:Card.status", NodeState.BUILT),
            ("endpoint:POST /cards/{id}/finish", NodeState.PROVEN),
            ("endpoint:POST /magic", NodeState.STUBBED),
            ("endpoint:GET /cards", NodeState.BUILT),
            ("view:Board view", NodeState.BUILT),
            ("role:admin", NodeState.BUILT),
            ("project", NodeState.BUILT),
            ("requirement:R-case", NodeState.PROVEN),
            ("requirement:R-alone", NodeState.NOT_UNDERSTOOD),
            ("case:finishing", NodeState.PROVEN),
            ("constraint:min_test_coverage", NodeState.BUILT),
            ("constraint:max_agents", NodeState.APPLIED),
            ("constraint:security_audit", NodeState.NOT_UNDERSTOOD),
            ("technology:fastapi", NodeState.BUILT),
            ("technology:celery", NodeState.NOT_UNDERSTOOD),
            ("version", NodeState.APPLIED),
            ("behaviour:on_failure", NodeState.NOT_UNDERSTOOD),
            ("hint", NodeState.NOT_UNDERSTOOD),
            ("", NodeState.NOT_UNDERSTOOD),
        ],
    )
    def test_a_node_ends_as_what_became_of_it(
        self,
        evidence: Callable[..., Evidence],
        blueprint_of: Callable[..., Blueprint],
        part: str,
        expected: NodeState,
    ) -> None:
        blueprint = blueprint_of(
            nodes=(Node(path="a.b", line=3, part=part),), technology={"fastapi": "0.109+", "celery": "5.3+"}
        )
        assert make_report(evidence(blueprint)).nodes[0].state is expected

    def test_a_line_the_planner_used_is_applied(
        self, evidence: Callable[..., Evidence], blueprint_of: Callable[..., Blueprint]
    ) -> None:
        given_ = evidence(
            blueprint_of(nodes=(Node(path="meta.x", line=1, part="hint"), Node(path="y", line=2)))
        )
        plan = replace(given_.plan, applied=("meta.x",))
        assert [row.state.value for row in make_report(replace(given_, plan=plan)).nodes] == [
            "applied",
            "not understood",
        ]

    @pytest.mark.parametrize(
        ("part", "expected"),
        [
            ("entity:Card", NodeState.NOT_UNDERSTOOD),
            ("project", NodeState.NOT_UNDERSTOOD),
            ("endpoint:POST /cards/{id}/finish", NodeState.FAILED),
            ("case:finishing", NodeState.FAILED),
            ("requirement:R-case", NodeState.FAILED),
            ("constraint:min_test_coverage", NodeState.FAILED),
        ],
    )
    def test_failing_gates_and_cases_fail_their_nodes(
        self,
        evidence: Callable[..., Evidence],
        blueprint_of: Callable[..., Blueprint],
        part: str,
        expected: NodeState,
    ) -> None:
        fine = evidence(blueprint_of(nodes=(Node(path="a", line=1, part=part),)))
        broken = replace(
            fine,
            gates=tuple(replace(gate, passed=False) for gate in fine.gates),
            cases=tuple(replace(case, passed=False) for case in fine.cases),
        )
        assert make_report(broken).nodes[0].state is expected

    @pytest.mark.parametrize(
        ("red", "expected"),
        [
            (("tests/test_other.py",), NodeState.BUILT),
            (("tests/test_card.py", "tests/test_other.py"), NodeState.NOT_UNDERSTOOD),
            ((), NodeState.NOT_UNDERSTOOD),
        ],
        ids=["another file", "its own file", "nobody knows"],
    )
    def test_what_its_own_tests_hold_stays_built_beside_red_ones(
        self,
        evidence: Callable[..., Evidence],
        blueprint_of: Callable[..., Blueprint],
        made: Callable[..., Contribution],
        red: tuple[str, ...],
        expected: NodeState,
    ) -> None:
        fine = evidence(blueprint_of(nodes=(Node(path="a", line=1, part="entity:Card"),)))
        broken = replace(
            fine,
            contributions=(*fine.contributions, made("checks/Card", "tests/test_card.py")),
            gates=(GateResult(name="contract tests", passed=False, paths=red),),
        )
        report = make_report(broken)
        assert report.nodes[0].state is expected
        assert state(report, "R-field").value == expected.value

    @given(
        st.lists(
            st.tuples(
                st.text(min_size=1),
                st.one_of(
                    st.text(),
                    st.sampled_from(
                        ["entity:Card", "field:Card.title", "endpoint:POST /magic", "case:finishing", "hint"]
                    ),
                    st.sampled_from(["entity", "rule", "view", "requirement", "constraint"]).flatmap(
                        lambda kind: st.text().map(lambda name: f"{kind}:{name}")
                    ),
                ),
            ),
            unique_by=lambda item: item[0],
        )
    )
    def test_every_node_is_accounted_for_exactly_once(
        self,
        blueprint_of: Callable[..., Blueprint],
        small_template: TemplatePackage,
        nodes: list[tuple[str, str]],
    ) -> None:
        blueprint = blueprint_of(
            nodes=tuple(Node(path=path, line=line, part=part) for line, (path, part) in enumerate(nodes, 1))
        )
        plan = HierarchicalPlanner().plan(blueprint, small_template)
        gates = (GateResult(name="contract tests", passed=True),)
        report = make_report(
            Evidence(blueprint=blueprint, plan=plan, manifest=small_template.manifest, gates=gates)
        )
        assert [(row.path, row.line) for row in report.nodes] == [(n.path, n.line) for n in blueprint.nodes]


class TestProduct:
    def test_every_file_but_the_report_is_listed_with_digest_and_producer(
        self, evidence: Callable[..., Evidence], made: Callable[..., Contribution]
    ) -> None:
        own = made("report", "BUILD_REPORT.json", "BUILD_REPORT.md")
        report = make_report(evidence(contributions=(made("models/Card", "b", "a"), own)))
        digests = [hashlib.sha256(content).hexdigest() for content in (b"a\n", b"b\n")]
        assert [(row.path, row.sha256, row.producer) for row in report.files] == [
            ("a", digests[0], "models/Card"),
            ("b", digests[1], "models/Card"),
        ]

    def test_technology_is_compared_by_name_and_version(
        self, evidence: Callable[..., Evidence], blueprint_of: Callable[..., Blueprint]
    ) -> None:
        wanted = {
            "fastapi": "0.109+",
            "python": "3.12+",
            "sqlalchemy": "2.0",
            "SQL-Alchemy": "1.4",
            "celery": "5.3+",
            "fast_api": "",
            "docker": "24+",
        }
        unmet = make_report(evidence(blueprint_of(technology=wanted))).technology_not_met
        assert [(row.name, row.found) for row in unmet] == [
            ("python", "3.11"),
            ("SQL-Alchemy", "2.0.41"),
            ("celery", ""),
        ]

    def test_deliverables_are_found_by_path_name_or_pattern(
        self, evidence: Callable[..., Evidence], blueprint_of: Callable[..., Blueprint]
    ) -> None:
        named = ("README.md", "card.py", "tests/*.py", "LICENSE")
        rows = make_report(evidence(blueprint_of(deliverables=named))).deliverables
        assert {row.name: row.path for row in rows} == {
            "README.md": "README.md",
            "card.py": "app/models/card.py",
            "tests/*.py": "tests/test_card.py",
            "LICENSE": "",
        }
        assert [row.present for row in rows] == [True, True, True, False]

    def test_what_must_not_be_built_is_searched_for(
        self,
        evidence: Callable[..., Evidence],
        blueprint_of: Callable[..., Blueprint],
        made: Callable[..., Contribution],
    ) -> None:
        blueprint = blueprint_of(do_not_build=("❌ Blockchain integration (not needed)", "❌ (nothing)"))
        assert all(row.respected for row in make_report(evidence(blueprint)).do_not_build)
        found = made("skeleton", "app/integrations/blockchain_integration.py")
        row = make_report(evidence(blueprint, contributions=(found,))).do_not_build[0]
        assert not row.respected
        assert row.found == ("app/integrations/blockchain_integration.py",)

    def test_targets_are_reported_with_their_gap(
        self,
        evidence: Callable[..., Evidence],
        blueprint_of: Callable[..., Blueprint],
        made: Callable[..., Contribution],
    ) -> None:
        source = made("models/Card", "a.py", content=b"one\n\n  \ntwo\n")
        given_ = evidence(
            blueprint_of(constraints=Constraints(target_loc=(5, 9), min_test_coverage=95)),
            contributions=(source,),
        )
        plan = replace(given_.plan, teams=(Team(name="x", agents=1, asked_low=1, asked_high=3),))
        rows = {
            row.name: (row.wanted, row.figure, row.gap)
            for row in make_report(replace(given_, plan=plan)).targets
        }
        assert rows == {
            "lines of code": ("5 to 9", "2", "3 short"),
            "test coverage": (">= 95 %", "91.4 %", "3.6 % short"),
            "agents": ("1 to 3", "5", "2 over"),
        }


class TestVerdict:
    def test_a_build_passes_when_everything_ran_and_passed(self, evidence: Callable[..., Evidence]) -> None:
        assert make_report(evidence()).passed

    def test_optional_work_that_was_dropped_is_reported_and_fails_nothing(
        self, evidence: Callable[..., Evidence]
    ) -> None:
        dropped = FailureRow(task="models/Card", reason="time was up", optional=True)
        report = make_report(evidence(failures=(dropped,)))
        assert report.passed
        assert report.failures

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda fine: replace(fine, gates=()),
            lambda fine: replace(fine, gates=(fine.gates[0], replace(fine.gates[1], passed=False))),
            lambda fine: replace(fine, cases=fine.cases[:1]),
            lambda fine: replace(fine, cases=(fine.cases[0], replace(fine.cases[1], passed=False))),
            lambda fine: replace(fine, failures=(FailureRow(task="models/Card", reason="no"),)),
        ],
        ids=["no gates", "a failing gate", "a case that did not run", "a failing case", "a failed task"],
    )
    def test_anything_missing_or_failed_fails_it(
        self, evidence: Callable[..., Evidence], spoil: Callable[[Evidence], Evidence]
    ) -> None:
        assert not make_report(spoil(evidence())).passed
