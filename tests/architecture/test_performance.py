"""The page of measurements is the one the measuring command writes: shape only, never figures."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/performance.md"


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"load_{name}", ROOT / f"tests/load/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def report() -> ModuleType:
    return loaded("report")


def faults(page: str, report: ModuleType) -> list[str]:
    """What the page does not say."""
    head = page.split("| bar |")[0]
    wanted = [rf"\b{re.escape(name)} \d" for name in (*report.PACKAGES, "PostgreSQL", "Valkey")]
    wanted += [
        r"Written by `python tests/load/",
        r"date: \d{4}-\d\d-\d\d",
        r"machine: \d+ cores",
        r"rounds: \d+",
    ]
    missing = [pattern for pattern in wanted if not re.search(pattern, head)]
    bars = [text for *_, text in (*report.RATIOS, *report.CEILINGS)]
    missing += [
        text
        for text in bars
        if not re.search(rf"\| [\d.]+ \| (yes|\*\*no\*\*) \| {re.escape(text)} \|", page)
    ]
    number = r"[\d,.]+"
    missing += [
        text
        for text in report.FIGURES.values()
        if not re.search(rf"\| {re.escape(text)} \| {number} \| {number} \| {number} \|", page)
    ]
    return missing


def test_the_page_names_versions_and_has_every_bar_and_figure(report: ModuleType) -> None:
    assert faults(PAGE.read_text(), report) == []


def test_a_row_that_is_missing_is_named(report: ModuleType) -> None:
    text = next(iter(report.FIGURES.values()))
    page = "\n".join(line for line in PAGE.read_text().splitlines() if text not in line)
    assert faults(page.replace("arq 0", "arq"), report) == [r"\barq \d", text]


def test_a_bar_is_judged_by_medians(report: ModuleType) -> None:
    rounds = {
        "ours": [{"arq_warm": speed} for speed in (10.0, 31.0, 50.0)],
        "arq": [{"throughput": speed} for speed in (9.0, 10.0, 100.0)],
    }
    assert report.judge(report.medians(rounds)) == [
        (pytest.approx(3.1), 3.0, True, "x arq: one worker process, woken through arq, warm")
    ]
    rounds["arq"][0]["throughput"] = 11.0
    assert [met for _, _, met, _ in report.judge(report.medians(rounds))] == [False]


def test_a_bar_that_is_missed_is_named(report: ModuleType) -> None:
    figures = {"ours.arq_warm": 29.0, "arq.throughput": 10.0, "ours.chain_ms": 600.0}
    assert report.missed(figures) == ["x arq: one worker process, woken through arq, warm"]
    assert report.missed({**figures, "ours.arq_warm": 30.0}) == []
    assert report.missed({**figures, "ours.arq_warm": 30.0, "ours.chain_ms": 601.0}) == [
        "ms: 40 dependent tasks of 10 ms"
    ]


def test_parts_run_though_one_before_them_missed_its_bar(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    for name, ends in (("good", ""), ("bad", "raise SystemExit('MISSED: it')"), ("last", "")):
        say = f"with open({str(marks)!r}, 'a') as file: file.write({name!r} + sys.argv[1])"
        (tmp_path / f"{name}.py").write_text(f"import sys\n{say}\n{ends}\n")
    parts = [[str(tmp_path / f"{name}.py"), " 3 "] for name in ("good", "bad", "last")]
    assert loaded("bench").run_parts(parts) == ["bad.py"]
    assert marks.read_text() == "good 3 bad 3 last 3 "
