from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import msgspec
import pytest

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
from factory_core.contracts.blueprint import Blueprint, Constraints, Node, Requirement

replace = msgspec.structs.replace
SCHEMA = Path(__file__).parents[3] / "docs" / "reference" / "build-report.schema.json"
RUN = RunFacts(
    build="b-1",
    host="here",
    seconds=12.5,
    nano_usd=0,
    task_seconds={"models/Card": 0.4},
    log_tail=("done", "```"),
)


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
        assert {"tasks", "agents", "scale", "paradigm", "regions", "windows", "added"} == set(
            document["plan"]
        )

    def test_what_was_spent_of_the_budget_is_told(self, evidence: Callable[..., Evidence]) -> None:
        report = make_report(evidence())
        nothing = "none counted: the studio's own agents call no model"
        for run, told in (
            (RUN, f"| cost | {nothing} |"),
            (
                replace(RUN, budget_nano_usd=5 * 10**9),
                f"| cost | {nothing}; the quote was within the budget of $5.00 |",
            ),
            (
                replace(RUN, nano_usd=10**9, budget_nano_usd=5 * 10**9),
                "| cost | $1.0000; the quote was within the budget of $5.00 |",
            ),
        ):
            assert told in report_markdown(with_run(report, run)).decode()

    def test_how_far_the_budget_is_kept_is_told_beside_its_line(
        self, evidence: Callable[..., Evidence], blueprint_of: Callable[..., Blueprint]
    ) -> None:
        node = Node(path="constraints.budget", line=7, part="constraint:budget")
        limits = Constraints(budget_nano_usd=5 * 10**9)
        report = make_report(evidence(blueprint_of(nodes=(node,), constraints=limits)))
        (row,) = (row for row in report.assumptions if row.path == "constraints.budget")
        assert (row.line, "$0.00, before anything started" in row.text) == (7, True)
        assert "is not counted" in row.text
        free = make_report(evidence(blueprint_of(nodes=(node,))))
        assert not any("budget" in row.text for row in free.assumptions)

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

    def test_a_build_without_cases_does_not_claim_any(
        self, evidence: Callable[..., Evidence], blueprint_of: Callable[..., Blueprint]
    ) -> None:
        report = make_report(evidence(blueprint_of(acceptance=())))
        assert report.passed
        assert b"The spec has no acceptance cases." in report_markdown(report)

    def test_long_and_odd_evidence_stays_readable(
        self, evidence: Callable[..., Evidence], made: Callable[..., Contribution]
    ) -> None:
        many = made("models/Card", *(f"app/models/card{n}.py" for n in range(9)))
        page = report_markdown(make_report(evidence(contributions=(many,)))).decode()
        assert "app/models/card3.py and 5 more" in page

    def test_signs_that_form_no_markup_are_shown_as_they_are(
        self, evidence: Callable[..., Evidence], blueprint_of: Callable[..., Blueprint]
    ) -> None:
        plain = Requirement(id="R-1", text="a -> b, x < y >= 85 %, R&D but &lt; <b>")
        page = report_markdown(make_report(evidence(blueprint_of(requirements=(plain,))))).decode()
        assert "a -> b, x < y >= 85 %, R&D but &amp;lt; &lt;b>" in page

    def test_text_of_the_spec_forms_no_markup(
        self, evidence: Callable[..., Evidence], blueprint_of: Callable[..., Blueprint]
    ) -> None:
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
