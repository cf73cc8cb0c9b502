from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_core.builds.harvest import (
    BuildReport,
    Contribution,
    Evidence,
    FailureRow,
    RunFacts,
    make_report,
    report_json,
    report_markdown,
    report_schema,
    with_run,
)
from factory_core.contracts.agent import CaseResult, GateResult
from factory_core.contracts.blueprint import (
    AcceptanceCase,
    Blueprint,
    Constraints,
    CrudCall,
    Endpoint,
    Entity,
    Field,
    FieldKind,
    Node,
    NodeState,
    Project,
    Requirement,
    RequirementState,
    View,
)
from factory_core.contracts.plan import Team
from factory_core.contracts.template import Manifest, TemplatePackage, ToolchainSpec, WorkSpec
from factory_core.planning import HierarchicalPlanner

replace = msgspec.structs.replace
SCHEMA = Path(__file__).parents[3] / "docs" / "reference" / "build-report.schema.json"
PASSED = (
    GateResult(name="contract tests", passed=True, figure="21 tests"),
    GateResult(name="coverage", passed=True, figure="91.4 %", limit=">= 85 %"),
)
RUN = RunFacts(
    build="b-1",
    host="here",
    seconds=12.5,
    nano_usd=0,
    task_seconds={"models/Card": 0.4},
    log_tail=("done", "```"),
)


def blueprint_of(**changes: object) -> Blueprint:
    card = Entity(
        name="Card",
        path="/cards",
        fields=(Field(name="title", kind=FieldKind.TEXT, requirements=("R-field",)),),
    )
    fields: dict[str, object] = {
        "project": Project(name="Taskboard", slug="taskboard"),
        "entities": (card,),
        "endpoints": (
            Endpoint(
                method="POST",
                path="/cards/{id}/finish",
                call=CrudCall.ACTION,
                entity="Card",
                requirements=("R-case",),
            ),
            Endpoint(method="POST", path="/magic", call=CrudCall.STUB, requirements=("R-stub",)),
            Endpoint(
                method="GET", path="/cards", call=CrudCall.LIST, entity="Card", requirements=("R-crud",)
            ),
        ),
        "views": (View(name="Board view", lists="Card"),),
        "requirements": tuple(
            Requirement(id=name, text=f"Text of {name}.", by=by, line=line)
            for line, (name, by) in enumerate(
                {
                    "R-case": (),
                    "R-field": (),
                    "R-stub": (),
                    "R-crud": (),
                    "R-by": ("Card.title",),
                    "R-by-view": ("Board view",),
                    "R-by-crud": ("PATCH /cards/{id}",),
                    "R-by-case": ("told by the requirement",),
                    "R-alone": (),
                }.items(),
                start=10,
            )
        ),
        "acceptance": (
            AcceptanceCase(name="finishing", steps=(), requirements=("R-case",)),
            AcceptanceCase(name="told by the requirement", steps=()),
        ),
    }
    return Blueprint(**{**fields, **changes})  # type: ignore[arg-type]  # the tests name real fields


MANIFEST = Manifest(
    name="small",
    version="1",
    title="Small",
    toolchain=ToolchainSpec(lock="lock"),
    technology={"Docker": "any", "FastAPI": "0.116.1", "python": "3.11", "sqlalchemy": "2.0.41"},
    work=(
        WorkSpec(name="skeleton", agent="builder"),
        WorkSpec(name="models", agent="builder", each="entity"),
        WorkSpec(name="actions", agent="builder", each="endpoint"),
        WorkSpec(name="checks", agent="tester", each="entity", stage="test"),
    ),
)
CASES = (CaseResult(name="finishing", passed=True), CaseResult(name="told by the requirement", passed=True))


@pytest.fixture
def evidence(made: Callable[..., Contribution]) -> Callable[..., Evidence]:
    def make(blueprint: Blueprint | None = None, **changes: object) -> Evidence:
        blueprint = blueprint or blueprint_of()
        template = TemplatePackage(manifest=MANIFEST, root=Path("x"), digest="0")
        fields: dict[str, object] = {
            "blueprint": blueprint,
            "plan": HierarchicalPlanner().plan(blueprint, template),
            "manifest": MANIFEST,
            "contributions": (
                made("skeleton", "README.md", "app/main.py"),
                made("models/Card", "app/models/card.py"),
                made("actions/post-cards-id-finish/debugger/1", "app/actions/finish.py"),
                made("checks/Card", "tests/test_card.py"),
            ),
            "gates": PASSED,
            "cases": CASES,
            "versions": {"studio": "0.1.0", "template": "small 1"},
        }
        return Evidence(**{**fields, **changes})  # type: ignore[arg-type]  # the tests name real fields

    return make


def state(report: BuildReport, name: str) -> RequirementState:
    return next(row.state for row in report.requirements if row.id == name)


class TestRequirements:
    def test_a_passing_case_proves(self, evidence: Callable[..., Evidence]) -> None:
        row = make_report(evidence()).requirements[0]
        assert (row.id, row.state) == ("R-case", RequirementState.PROVEN)
        assert row.evidence == ('case "finishing" passed', "code: app/actions/finish.py")

    def test_a_failing_case_fails_even_beside_passing_ones(self, evidence: Callable[..., Evidence]) -> None:
        broken = (*CASES, CaseResult(name="finishing", passed=False))
        assert state(make_report(evidence(cases=broken)), "R-case") is RequirementState.FAILED

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
        failing = (replace(PASSED[0], passed=False),)
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
        self, evidence: Callable[..., Evidence], part: str, expected: NodeState
    ) -> None:
        blueprint = blueprint_of(
            nodes=(Node(path="a.b", line=3, part=part),), technology={"fastapi": "0.109+", "celery": "5.3+"}
        )
        assert make_report(evidence(blueprint)).nodes[0].state is expected

    def test_a_line_the_planner_used_is_applied(self, evidence: Callable[..., Evidence]) -> None:
        given_ = evidence(
            blueprint_of(nodes=(Node(path="meta.x", line=1, part="hint"), Node(path="y", line=2)))
        )
        plan = replace(given_.plan, applied=("meta.x",))
        assert [row.state.value for row in make_report(replace(given_, plan=plan)).nodes] == [
            "applied",
            "not understood",
        ]

    @pytest.mark.parametrize(
        "part", ["entity:Card", "endpoint:POST /cards/{id}/finish", "constraint:min_test_coverage"]
    )
    def test_failing_gates_and_cases_fail_their_nodes(
        self, evidence: Callable[..., Evidence], part: str
    ) -> None:
        broken = evidence(
            blueprint_of(nodes=(Node(path="a", line=1, part=part),)),
            gates=tuple(replace(gate, passed=False) for gate in PASSED),
            cases=tuple(replace(case, passed=False) for case in CASES),
        )
        assert make_report(broken).nodes[0].state is NodeState.FAILED

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
    def test_every_node_is_accounted_for_exactly_once(self, nodes: list[tuple[str, str]]) -> None:
        blueprint = blueprint_of(
            nodes=tuple(Node(path=path, line=line, part=part) for line, (path, part) in enumerate(nodes, 1))
        )
        plan = HierarchicalPlanner().plan(
            blueprint, TemplatePackage(manifest=MANIFEST, root=Path("x"), digest="0")
        )
        report = make_report(Evidence(blueprint=blueprint, plan=plan, manifest=MANIFEST, gates=PASSED))
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

    def test_technology_is_compared_by_name_and_version(self, evidence: Callable[..., Evidence]) -> None:
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

    def test_deliverables_are_found_by_path_name_or_pattern(self, evidence: Callable[..., Evidence]) -> None:
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
        self, evidence: Callable[..., Evidence], made: Callable[..., Contribution]
    ) -> None:
        blueprint = blueprint_of(do_not_build=("❌ Blockchain integration (not needed)", "❌ (nothing)"))
        assert all(row.respected for row in make_report(evidence(blueprint)).do_not_build)
        found = made("skeleton", "app/integrations/blockchain_integration.py")
        row = make_report(evidence(blueprint, contributions=(found,))).do_not_build[0]
        assert not row.respected
        assert row.found == ("app/integrations/blockchain_integration.py",)

    def test_targets_are_reported_with_their_gap(
        self, evidence: Callable[..., Evidence], made: Callable[..., Contribution]
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
        given_ = evidence(failures=(FailureRow(task="models/Card", reason="time was up"),))
        tasks = tuple(replace(task, optional=task.id == "models/Card") for task in given_.plan.tasks)
        report = make_report(replace(given_, plan=replace(given_.plan, tasks=tasks)))
        assert report.passed
        assert report.failures

    @pytest.mark.parametrize(
        "change",
        [
            {"gates": ()},
            {"gates": (PASSED[0], replace(PASSED[1], passed=False))},
            {"cases": CASES[:1]},
            {"cases": (CASES[0], replace(CASES[1], passed=False))},
            {"failures": (FailureRow(task="models/Card", reason="no"),)},
        ],
    )
    def test_anything_missing_or_failed_fails_it(
        self, evidence: Callable[..., Evidence], change: dict[str, object]
    ) -> None:
        assert not make_report(evidence(**change)).passed


class TestForm:
    def test_equal_evidence_gives_equal_bytes(self, evidence: Callable[..., Evidence]) -> None:
        assert report_json(make_report(evidence())) == report_json(make_report(evidence()))

    def test_json_is_canonical(self, evidence: Callable[..., Evidence]) -> None:
        text = report_json(make_report(evidence())).decode()
        document = json.loads(text)
        assert text == json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        assert {
            "requirements",
            "nodes",
            "files",
            "gates",
            "acceptance",
            "assumptions",
            "plan",
            "versions",
        } <= set(document)
        assert set(document["plan"]) == {"tasks", "agents", "scale"}

    def test_only_the_copy_beside_the_archive_tells_of_the_run(
        self, evidence: Callable[..., Evidence]
    ) -> None:
        report = make_report(evidence())
        assert "run" not in json.loads(report_json(report))
        beside = json.loads(report_json(with_run(report, RUN)))
        assert beside.pop("run")["host"] == "here"
        assert beside == json.loads(report_json(report))

    def test_the_published_schema_is_up_to_date(self) -> None:
        assert SCHEMA.read_bytes() == report_schema()

    def test_reports_follow_the_schema_and_the_schema_refuses_others(
        self, evidence: Callable[..., Evidence]
    ) -> None:
        schema = json.loads(report_schema())
        jsonschema.Draft202012Validator.check_schema(schema)
        for report in (make_report(evidence()), with_run(make_report(evidence()), RUN)):
            document = json.loads(report_json(report))
            jsonschema.validate(document, schema)
            assert msgspec.json.decode(report_json(report), type=BuildReport) == report
        document["requirements"][0]["state"] = "done"
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document, schema)
        del document["requirements"]
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document, schema)

    def test_the_page_begins_with_the_requirements(self, evidence: Callable[..., Evidence]) -> None:
        page = report_markdown(make_report(evidence())).decode()
        assert page.index("## Requirements") < page.index("## Gates")
        assert (
            '| R-case: Text of R-case. | ✓ proven | case "finishing" passed; code: app/actions/finish.py | 10 |'
            in page
        )
        assert "## This run" not in page

    def test_a_build_without_cases_does_not_claim_any(self, evidence: Callable[..., Evidence]) -> None:
        report = make_report(evidence(blueprint_of(acceptance=())))
        assert report.passed
        assert b"The spec has no acceptance cases." in report_markdown(report)

    def test_long_and_odd_evidence_stays_readable(
        self, evidence: Callable[..., Evidence], made: Callable[..., Contribution]
    ) -> None:
        many = made("models/Card", *(f"app/models/card{n}.py" for n in range(9)))
        page = report_markdown(make_report(evidence(contributions=(many,)))).decode()
        assert "app/models/card3.py and 5 more" in page

    def test_text_of_the_spec_forms_no_markup(self, evidence: Callable[..., Evidence]) -> None:
        hostile = Requirement(id="R-1", text="a | b\n# head <script>alert(1)</script> [x](javascript:y) `c`")
        page = report_markdown(make_report(evidence(blueprint_of(requirements=(hostile,))))).decode()
        row = next(line for line in page.splitlines() if "R-1" in line)
        assert "<script>" not in page
        assert row.count(" | ") == 3
        assert "\\[x\\]" in row
        assert "\n# head" not in page

    def test_a_failed_build_with_its_run_is_readable(self, evidence: Callable[..., Evidence]) -> None:
        failed = make_report(evidence(failures=(FailureRow(task="models/Card", reason="it broke"),)))
        page = report_markdown(with_run(failed, RUN)).decode()
        assert "**Failed**" in page
        assert "| models/Card | it broke |" in page
        assert "\n    done\n" in page
        assert "| models/Card | 0.40 |" in page
