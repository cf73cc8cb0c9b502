"""The page of measurements is the one the measuring command writes: shape only, never figures."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/performance.md"


@pytest.fixture(scope="module")
def report() -> ModuleType:
    spec = importlib.util.spec_from_file_location("load_report", ROOT / "tests/load/report.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
