"""A template with faults in it: what behaviours make of a build that is red, with real agents, gates and sandbox."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import factory_template_neoforge

pytestmark = [pytest.mark.xdist_group("builds"), pytest.mark.slow]

SPEC = """project: {name: Red, template: faulty}
meta: {optimization_rounds: 3}
behaviors:
  on_failure: spawn_debugger_and_recover
  on_success: spawn_optimizer_and_enhance
  on_integration: spawn_tester_army
  on_security_risk: halt_and_audit
entities:
  Note: {title: text}
"""
FUTURE = "from __future__ import annotations\n"
FAULTS = '''

EPOCH = datetime(2026, 1, 1)
"""Nothing is older; and nobody imported the name."""


def mark(text: str) -> str:
    """A short mark of some content, by a hash that would be too weak for a secret."""
    return hashlib.md5(text.encode()).hexdigest()


def is_new(at: datetime) -> bool:
    """Clumsy."""
    if at >= EPOCH:
        return True
    else:
        return False
'''


@pytest.fixture
def faulty(make_studio: Callable[[], Any], tmp_path: Path) -> Any:
    """A home for which somebody else's template is installed."""
    site = tmp_path / "site"
    package = site / "factory_template_faulty"
    shutil.copytree(Path(factory_template_neoforge.__file__).parent, package)
    manifest = package / "factory.toml"
    manifest.write_text(manifest.read_text().replace('name = "neoforge"', 'name = "faulty"', 1))
    listing = package / "files/app/listing.py.j2"
    head, found, tail = listing.read_text().partition(FUTURE)
    assert found
    listing.write_text(f"{head}{found}\nimport hashlib\n{tail}{FAULTS}")
    told = site / "factory_template_faulty-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: factory-template-faulty\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text("[factory.plugins]\nfaulty = factory_template_faulty.plugin\n")
    studio = make_studio()
    studio.environment["PYTHONPATH"] = str(site)
    return studio


def test_a_faulty_template_is_halted_decided_on_corrected_and_delivered(faulty: Any, tmp_path: Path) -> None:
    spec, out = tmp_path / "red.yaml", tmp_path / "out"
    spec.write_text(SPEC)
    with faulty.start("build", spec, "--out", out) as building:
        lines: list[str] = []
        for line in building.stdout:
            lines.append(line)
            if "halted by gate-security/audit/1" in line:
                break
        assert "app/listing.py" in line, "".join(lines)
        build = next(text for text in lines if text.startswith("build ")).split()[1].rstrip(":")
        decided = faulty.run("builds", "resume", build, "--decision", "approve", "--note", "no secret")
        assert decided.returncode == 0, decided.stderr
        rest, errors = building.communicate(timeout=600)
        assert building.returncode == 0, rest + errors
    report = json.loads((out / "BUILD_REPORT.json").read_bytes())
    findings = {(row["code"], row["message"]) for row in report["findings"]}
    assert {message for code, message in findings if code == "debugger"} == {
        "missing import: corrected app/listing.py.",
        "a fault of style, corrected boldly: corrected app/listing.py.",
        "weak hash: corrected app/listing.py.",
    }
    assert (
        "verification-round",
        "Round 1 of verification failed: gate security: 1 high, 0 lower.",
    ) in findings
    assert ("optimizer", "There is nothing to improve.") in findings
    assert report["optimization"] == {"asked": 3, "done": 1, "kept": 0, "ended": "round 1 changed nothing"}
    called = {row["behaviour"]: row["agents"] for row in report["plan"]["added"]}
    assert set(called) == {"debugger", "retry", "tester", "tidy", "audit", "verify", "optimizer", "confirm"}
    assert all(gate["passed"] for gate in report["gates"])
    assert "usedforsecurity=False" in _source(out, tmp_path)


def _source(out: Path, folder: Path) -> str:
    shutil.unpack_archive(next(out.glob("*.zip")), folder / "made")
    return (folder / "made/red/app/listing.py").read_text()
