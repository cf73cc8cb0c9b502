"""The agents that a build adds: debugger, optimizer, decomposer. Commands really run, in a folder of the test's own."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from factory_core.contracts.agent import Outcome, Work
from factory_core.contracts.blueprint import Blueprint, Project
from factory_core.contracts.files import FileRef, Produced
from factory_core.contracts.sandbox import SandboxResult
from factory_core.contracts.template import Manifest, TemplateFile, TemplatePackage, ToolchainSpec, WorkSpec
from factory_core.testing.agent import BenchTools
from factory_plugin_agents.debugger import Debugger
from factory_plugin_agents.decomposer import Decomposer, part_of
from factory_plugin_agents.optimizer import Optimizer

pytestmark = pytest.mark.anyio
WIDE = WorkSpec(
    name="web",
    agent="builder",
    files=tuple(TemplateFile(source=f"{n}", path=f"{n}.js") for n in range(41)),
)
TEMPLATE = TemplatePackage(
    manifest=Manifest(name="t", version="1", title="T", toolchain=ToolchainSpec(lock="l"), work=(WIDE,)),
    root=Path(),
    digest="d",
)
SETTINGS = "[tool.ruff]\nline-length = 110\n[tool.pytest.ini_options]\npythonpath = ['.']\n"


class Workbench(BenchTools):
    """Runs commands with this interpreter, which has ruff and pytest."""

    def __init__(self, folder: Path, files: dict[str, str]) -> None:
        files = {"pyproject.toml": SETTINGS, **files}
        self.contents = {hashlib.sha256(text.encode()).hexdigest(): text.encode() for text in files.values()}
        super().__init__(self.contents)
        self.refs = tuple(
            FileRef(path=p, digest=hashlib.sha256(t.encode()).hexdigest(), size=len(t.encode()), producer="x")
            for p, t in files.items()
        )
        self._folder = folder

    async def run(self, command: Any, files: Any, *, collect: Any = (), **_: Any) -> Any:
        self.commands.append(command)
        root = self._folder / str(len(self.commands))
        for file in files:
            path = root / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content if isinstance(file, Produced) else self.contents[file.digest])
        words = [sys.executable, *command[1:]]
        done = await asyncio.to_thread(subprocess.run, words, cwd=root, capture_output=True, check=False)
        made = [p for pattern in collect for p in sorted(root.glob(pattern)) if p.is_file()]
        result = SandboxResult(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr, seconds=0.1)
        return result, tuple(
            Produced(path=p.relative_to(root).as_posix(), content=p.read_bytes()) for p in made
        )


def work(bench: Workbench, **params: str) -> Work:
    blueprint = Blueprint(project=Project(name="P", slug="p"))
    return Work(task="t", params=params, blueprint=blueprint, template=TEMPLATE, inputs=bench.refs)


async def debugged(folder: Path, files: dict[str, str], **failure: Any) -> Outcome:
    bench = Workbench(folder, files)
    told = msgspec.json.encode([{"gate": "tests", "said": "", **failure}]).decode()
    return await Debugger().run(work(bench, failures=told), bench)


def text(outcome: Outcome) -> dict[str, str]:
    return {file.path: file.content.decode() for file in outcome.files}


async def test_a_well_known_name_that_is_not_imported_is_imported(tmp_path: Path) -> None:
    code = '"""A."""\n\nfrom __future__ import annotations\n\nNOW = datetime(2026, 1, 1)\n'
    outcome = await debugged(
        tmp_path, {"app/a.py": code}, said="E  NameError: name 'datetime' is not defined"
    )
    assert "from datetime import datetime\n" in text(outcome)["app/a.py"]
    compile(text(outcome)["app/a.py"], "a", "exec")
    assert "missing import: corrected app/a.py" in outcome.findings[0].message


@pytest.mark.parametrize(
    ("code", "line", "corrected"),
    [
        ("B324", "import hashlib\n\nX = hashlib.md5(b'x')\n", 'hashlib.md5(b"x", usedforsecurity=False)'),
        ("B506", "import yaml\n\nX = yaml.load(text, Loader=yaml.UnsafeLoader)\n", "yaml.safe_load(text)"),
    ],
)
async def test_a_known_weakness_is_corrected(tmp_path: Path, code: str, line: str, corrected: str) -> None:
    findings = [(code, "app/a.py", 3, "weak")]
    outcome = await debugged(tmp_path, {"app/a.py": line, "app/b.py": line}, findings=findings)
    assert corrected in text(outcome)["app/a.py"]
    assert "app/b.py" not in text(outcome) or corrected not in text(outcome)["app/b.py"], (
        "nobody complained of it"
    )


async def test_a_name_is_taken_from_the_module_that_has_it(tmp_path: Path) -> None:
    files = {
        "app/models.py": "class Card: ...\n",
        "app/rules.py": "def check() -> None: ...\n",
        "app/routes.py": "from app.models import (\n    Card,\n    check,\n)\n\nUSED = (Card, check)\n",
    }
    findings = [("interface", "app/routes.py", 1, "app.models has no check")]
    outcome = await debugged(tmp_path, files, gate="interfaces", findings=findings)
    assert text(outcome) == {
        "app/routes.py": "from app.models import Card\nfrom app.rules import check\n\nUSED = (Card, check)\n"
    }


async def test_two_names_of_one_import_are_taken_from_two_modules(tmp_path: Path) -> None:
    files = {
        "app/models.py": "class Card: ...\n",
        "app/a.py": "def one() -> None: ...\n",
        "app/b.py": "TWO = 2\n",
        "app/routes.py": '"""Ä."""\n\nfrom .models import one, Card, TWO\n\nUSED = (one, Card, TWO)\n',
    }
    findings = [("interface", "app/routes.py", 3, f"app.models has no {name}") for name in ("one", "TWO")]
    made = text(await debugged(tmp_path, files, gate="interfaces", findings=findings))["app/routes.py"]
    lines = {line for line in made.splitlines() if "import" in line}
    assert lines == {"from app.a import one", "from app.b import TWO", "from .models import Card"}


async def test_a_name_that_two_modules_have_is_not_guessed(tmp_path: Path) -> None:
    files = {f"app/{name}.py": "def check() -> None: ...\n" for name in ("a", "b")}
    files["app/routes.py"] = "from app.models import check\n"
    findings = [("interface", "app/routes.py", 1, "app.models has no check")]
    outcome = await debugged(tmp_path, files, gate="interfaces", said="0 of 1 names", findings=findings)
    assert outcome.failure == "No known correction fits: interfaces: 0 of 1 names"


async def test_untidy_code_is_tidied(tmp_path: Path) -> None:
    outcome = await debugged(
        tmp_path, {"app/a.py": "import os\nx  =  1\n"}, gate="format+lint", said="2 faults"
    )
    assert text(outcome) == {"app/a.py": "x = 1\n"}


async def test_what_ran_out_of_time_is_tried_again_as_it_is(tmp_path: Path) -> None:
    outcome = await debugged(tmp_path, {"app/a.py": "x = 1\n"}, said="did not run\nIt was ended: wall time.")
    assert (outcome.failure, outcome.files) == ("", ())


async def test_what_it_does_not_know_it_says(tmp_path: Path) -> None:
    outcome = await debugged(tmp_path, {"app/a.py": "x = 1\n"}, gate="case 'a'", said="assert 200 == 409")
    assert outcome.failure == "No known correction fits: case 'a': assert 200 == 409"


CLUMSY = "def truth(x: int) -> bool:\n    if x > 1:\n        return True\n    else:\n        return False\n"


async def test_the_optimizer_keeps_what_still_passes(tmp_path: Path) -> None:
    test = "from app.a import truth\n\n\ndef test_it() -> None:\n    assert truth(2)\n"
    bench = Workbench(tmp_path, {"app/a.py": CLUMSY, "tests/test_a.py": test})
    outcome = await Optimizer().run(work(bench), bench)
    assert list(text(outcome)) == ["app/a.py"]
    assert "else" not in text(outcome)["app/a.py"]
    assert outcome.findings[0].message == (
        "Improved app/a.py: 2 faults by ruff's rules became 1 (safe corrections)."
    )
    assert outcome.measures == {"faults by ruff's rules": (2, 1)}


async def test_a_further_round_is_bolder_and_the_one_after_it_has_nothing_to_do(tmp_path: Path) -> None:
    test = "from app.a import truth\n\n\ndef test_it() -> None:\n    assert truth(2) and not truth(1)\n"
    code, said = CLUMSY, []
    for number in range(3):
        bench = Workbench(tmp_path / str(number), {"app/a.py": code, "tests/test_a.py": test})
        outcome = await Optimizer().run(work(bench), bench)
        code = text(outcome).get("app/a.py", code)
        said.append(outcome.findings[0].message.rpartition(": ")[2])
    assert "return x > 1" in code
    assert said == [
        "2 faults by ruff's rules became 1 (safe corrections).",
        "1 faults by ruff's rules became 0 (bolder corrections).",
        "There is nothing to improve.",
    ]


async def test_the_optimizer_keeps_nothing_when_a_test_fails(tmp_path: Path) -> None:
    test = "from pathlib import Path\n\n\ndef test_it() -> None:\n    assert 'else' in Path('app/a.py').read_text()\n"
    bench = Workbench(tmp_path, {"app/a.py": CLUMSY, "tests/test_a.py": test})
    outcome = await Optimizer().run(work(bench), bench)
    assert outcome.files == ()
    assert "makes a test fail; nothing is changed" in outcome.findings[0].message


async def test_the_optimizer_says_when_there_is_nothing_to_improve(tmp_path: Path) -> None:
    bench = Workbench(tmp_path, {"app/a.py": "X = 1\n"})
    outcome = await Optimizer().run(work(bench), bench)
    assert [finding.message for finding in outcome.findings] == ["There is nothing to improve."]
    assert len(bench.commands) == 1, "and runs no test for it"


async def test_the_parts_of_a_task_make_each_of_its_files_once(tmp_path: Path) -> None:
    bench = Workbench(tmp_path, {})
    params = {"work": "web", "nodes": "[]", "for": "builder", "parts": "4"}
    outcome = await Decomposer().run(work(bench, **params), bench)
    assert [(spawn.agent, spawn.params["part"]) for spawn in outcome.spawn] == [
        ("builder", f"{n}/4") for n in range(1, 5)
    ]
    parts = [part_of(WIDE, spawn.params).files for spawn in outcome.spawn]
    assert [len(files) for files in parts] == [11, 10, 10, 10]
    assert tuple(file for files in parts for file in files) == WIDE.files
    assert part_of(WIDE, {}) == WIDE
