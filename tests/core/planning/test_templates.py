from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from factory_core.planning import TemplateBroken, load_template

MANIFEST = """
name = "small"
version = "1.0"
title = "Small"
toolchain = {lock = "toolchain/requirements.lock"}

[[work]]
name = "models"
agent = "builder"
each = "entity"
files = [{source = "model.py.j2", path = "app/{module}.py"}]

[[work]]
name = "report"
agent = "harvester"
stage = "deliver"
after = ["models"]
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "template"
    (folder / "files").mkdir(parents=True)
    (folder / "toolchain").mkdir()
    (folder / "factory.toml").write_text(MANIFEST)
    (folder / "files" / "model.py.j2").write_text("class {{ name }}: ...\n")
    (folder / "toolchain" / "requirements.lock").write_text("")
    return folder


@pytest.fixture
def spoil(package: Path) -> Callable[[str, str], Path]:
    def replace(old: str, new: str) -> Path:
        text = (package / "factory.toml").read_text()
        assert old in text
        (package / "factory.toml").write_text(text.replace(old, new))
        return package

    return replace


def test_a_sound_package_is_read(package: Path) -> None:
    template = load_template(package)
    assert [work.name for work in template.manifest.work] == ["models", "report"]
    assert template.root == package


def test_the_digest_follows_content_names_and_modes_and_nothing_else(package: Path) -> None:
    before = load_template(package).digest
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "x.pyc").write_bytes(b"x")
    assert load_template(package).digest == before
    source = package / "files" / "model.py.j2"
    source.chmod(0o755)
    executable = load_template(package).digest
    source.write_text("class {{ name }}: pass\n")
    changed = load_template(package).digest
    (package / "files" / "more.txt").write_text("")
    assert len({before, executable, changed, load_template(package).digest}) == 4


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('name = "small"', 'name = "Small One"', "the name 'Small One'"),
        ('name = "small"', "name = ", "factory.toml"),
        ('title = "Small"', 'title = "Small"\ncolour = "red"', "unknown field `colour`"),
        ('each = "entity"', 'each = "thing"', "thing"),
        ('agent = "builder"', 'agent = "barrier"', "no template may use"),
        ('name = "report"', 'name = "models"', "two kinds of work are called 'models'"),
        ('name = "report"', 'name = "Re port"', "the work name 'Re port'"),
        ('after = ["models"]', 'after = ["model"]', "'model', which is no work"),
        ('each = "entity"', 'each = "entity"\nafter = ["report"]', "nothing follows a delivery"),
        ('each = "entity"', 'each = "entity"\nafter = ["models"]', "waits for itself"),
        ('each = "entity"', 'each = "entity"\nstage = "dream"', "the stage 'dream'"),
        ('each = "entity"', 'each = "entity"\nseconds = -1', "-1"),
        ('each = "entity"', 'each = "entity"\nparams = {node = "x"}', "belongs to the planner"),
        ('each = "entity"', 'each = "entity"\nreads = ["blueprint.entity"]', "parts of the blueprint are"),
        ('each = "entity"', 'each = "entity"\nreads = ["design"]', "'design', which is no work"),
        ("requirements.lock", "missing.lock", "missing.lock' is not there"),
        ("model.py.j2", "absent.j2", "files/absent.j2, which is not there"),
        ("model.py.j2", "../factory.toml", "which is not there"),
        ("app/{module}.py", "app/{entity}.py", "holds {entity}"),
        ("app/{module}.py", "../{module}.py", "leaves the project"),
        ("app/{module}.py", "/{module}.py", "leaves the project"),
        (
            'files = [{source = "model.py.j2", path = "app/{module}.py"}]',
            'files = [{source = "model.py.j2", path = "a"}, {source = "model.py.j2", path = "a"}]',
            "two works write 'a'",
        ),
        (
            'title = "Small"',
            'title = "Small"\ngates = [{name = "lint"}, {name = "lint"}]',
            "two gates are called",
        ),
    ],
)
def test_a_broken_package_is_refused_with_its_fault(
    spoil: Callable[[str, str], Path], old: str, new: str, fault: str
) -> None:
    folder = spoil(old, new)
    with pytest.raises(TemplateBroken) as caught:
        load_template(folder)
    assert fault in str(caught.value)


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TemplateBroken, match="cannot be read"):
        load_template(tmp_path)


def test_links_in_a_package_are_refused(package: Path) -> None:
    (package / "files" / "link").symlink_to("/etc/hostname")
    with pytest.raises(TemplateBroken, match="symbolic link"):
        load_template(package)
