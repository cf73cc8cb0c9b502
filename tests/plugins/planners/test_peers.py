"""The talk of a mesh: every name that a file takes from another is asked for and answered."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from msgspec.structs import replace

from factory_core.contracts.agent import AGAIN, GateResult, Message, Outcome, Work
from factory_core.contracts.blueprint import Blueprint, Project
from factory_core.contracts.files import FileRef
from factory_core.contracts.template import Manifest, TemplatePackage, ToolchainSpec
from factory_core.testing.agent import BenchTools
from factory_plugin_planners.peers import Moderator, Peer

pytestmark = pytest.mark.anyio
TEMPLATE = TemplatePackage(
    manifest=Manifest(name="t", version="1", title="T", toolchain=ToolchainSpec(lock="l"), work=()),
    root=Path(),
    digest="d",
)
FILES = {
    "app/__init__.py": "",
    "app/models/__init__.py": "from .card import Card\n",
    "app/models/card.py": "class Card: ...\nif True:\n    LIMIT: int = 3\n",
    "app/routes.py": "from app.models import Card\nfrom app import models\nfrom app.models.card import LIMIT\nimport os\n",
}


async def talk(files: dict[str, str], peers: int = 2) -> tuple[GateResult, Outcome, list[Message]]:
    """Both rounds and the verdict, letters delivered as the journal does."""
    digests = {path: hashlib.sha256(f"{path}{text}".encode()).hexdigest() for path, text in files.items()}
    tools = BenchTools({digests[path]: text.encode() for path, text in files.items()})
    refs = tuple(
        FileRef(path=path, digest=digest, size=1, producer="x") for path, digest in sorted(digests.items())
    )
    blueprint = Blueprint(project=Project(name="P", slug="p"))
    work = Work(task="t", params={"of": str(peers)}, blueprint=blueprint, template=TEMPLATE, inputs=refs)
    letters: list[Message] = []
    for number in ("1", "2"):
        written: list[Message] = []
        for peer in range(1, peers + 1):
            mail = tuple(letter for letter in letters if letter.to == str(peer))
            mine = replace(work, params={**work.params, "peer": str(peer), "round": number}, mail=mail)
            written += [replace(m, sender=str(peer)) for m in (await Peer().run(mine, tools)).mail]
        letters = written
    outcome = await Moderator().run(replace(work, mail=tuple(letters)), tools)
    return outcome.gates[0], outcome, letters


@pytest.mark.parametrize("peers", [2, 3, 6])
async def test_a_product_whose_names_all_exist_passes(peers: int) -> None:
    gate, outcome, _ = await talk(FILES, peers)
    assert (gate.passed, gate.figure, outcome.findings) == (True, "4 of 4 names", ())


@pytest.mark.parametrize("peers", [2, 3, 6])
async def test_a_name_that_nobody_has_fails_with_its_place(peers: int) -> None:
    gate, outcome, _ = await talk({**FILES, "app/more.py": "\nfrom app.models.card import Board\n"}, peers)
    assert (gate.passed, gate.figure) == (False, "4 of 5 names")
    (finding,) = outcome.findings
    assert (finding.path, finding.line, finding.message) == ("app/more.py", 2, "app.models.card has no Board")


async def test_what_may_answer_to_any_name_is_believed() -> None:
    files = {"a.py": "def __getattr__(name): ...\n", "b.py": "from c import *\n", "c.py": "X = 1\n"}
    gate, *_ = await talk({**files, "d.py": "from a import one\nfrom b import X\n"})
    assert gate.passed


async def test_a_file_that_is_no_python_is_another_gate_s_concern() -> None:
    gate, *_ = await talk({"a.py": "def (\n", "b.py": "from a import x\n"})
    assert gate.passed


async def test_nobody_answers_who_was_not_asked() -> None:
    gate, _, letters = await talk({"a.py": "import os\n", "b.py": "import re\n"})
    assert (letters, gate.figure) == ([], "0 of 0 names")


@pytest.mark.parametrize("changed", [{}, {"app/routes.py": "from app.models import Cart\n"}])
async def test_asked_again_the_moderator_judges_the_files_as_they_are_by_itself(
    changed: dict[str, str],
) -> None:
    files = {**FILES, **changed}
    gate, outcome, _ = await talk(files)
    digests = {path: hashlib.sha256(f"{path}{text}".encode()).hexdigest() for path, text in files.items()}
    refs = tuple(
        FileRef(path=path, digest=digest, size=1, producer="x") for path, digest in sorted(digests.items())
    )
    blueprint = Blueprint(project=Project(name="P", slug="p"))
    work = Work(task="t", params={AGAIN: "1"}, blueprint=blueprint, template=TEMPLATE, inputs=refs)
    alone = await Moderator().run(
        work, BenchTools({digests[path]: text.encode() for path, text in files.items()})
    )
    assert alone.gates[0] == gate
    assert alone.findings == outcome.findings
