"""What the pages tell people to type exists, and where they point there is something."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from importlib import import_module
from pathlib import Path

import click
import pytest

from factory_core.kernel.boot import start
from factory_core.settings import read_sources

ROOT = Path(__file__).parents[2]
ABOUT_PLUGINS = {"greet"}
"""Commands that a reader makes while following a tutorial."""
FENCE = re.compile(r"^ *```(\w*)[^\n]*\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def pages() -> list[Path]:
    """Every page of the repository that people read, but not what templates bring into projects."""
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
    return [*top, *sorted((ROOT / "docs").rglob("*.md"))]


def typed(page: Path, program: str) -> list[list[str]]:
    """The words of every line of that program, in fences and in running text."""
    text = page.read_text()
    fences = [body for kind, body in FENCE.findall(text) if kind in {"sh", "shell", "bash", ""}]
    lines = [line.strip() for body in fences for line in body.splitlines()]
    lines += SPAN.findall(FENCE.sub("", text))
    commands = [part.strip() for line in lines for part in re.split(r"&&|;|\|", line)]
    words = [shlex.split(line, comments=True) for line in commands if re.match(rf"(\S*/)?{program}\s", line)]
    return [found[1:] for found in words]


def anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.fixture(scope="module")
def commands() -> dict[str, str]:
    """The commands of the studio as it ships."""
    return start(read_sources({"FACTORY_HOME": "/nonexistent"})).commands()


def complaint(words: list[str], commands: dict[str, str]) -> str:
    """Why the words are no command of ``studio``; empty when they are. Capital words stand for something."""
    if words[0].startswith("-"):
        return "" if words[0] in {"--help", "-h", "--version"} else f"there is no option {words[0]}"
    if words[0] in ABOUT_PLUGINS:
        return ""
    if words[0] not in commands:
        return f"there is no command {words[0]}"
    module, _, name = commands[words[0]].partition(":")
    command: click.Command = getattr(import_module(module), name)
    rest = words[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith(("-", "[")):
        inner = command.get_command(click.Context(command), rest[0])
        if inner is None:
            return f"there is no command {' '.join(words)}"
        command, rest = inner, rest[1:]
    known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)} | {"--help"}
    unknown = [word for word in rest if word.startswith("-") and word != "-" and word not in known]
    return f"{words[0]} has no option {unknown[0]}" if unknown else ""


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_studio_command_of_a_page_exists_with_its_options(page: Path, commands: dict[str, str]) -> None:
    said = [
        (" ".join(words), complaint(words, commands))
        for words in typed(page, "studio")
        if words and words[0] != "…"
    ]
    assert [each for each in said if each[1]] == []


def test_a_command_that_does_not_exist_is_noticed(commands: dict[str, str], tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\nstudio bild x\nstudio build x --fast  # so\n```\nand `studio builds rewind X`\n")
    found = [complaint(words, commands) for words in typed(page, "studio")]
    assert found == [
        "there is no command bild",
        "build has no option --fast",
        "there is no command builds rewind X",
    ]


def test_the_commands_of_the_readme_are_found(commands: dict[str, str]) -> None:
    assert ["build", "examples/taskboard.yaml", "--out", "demo-build"] in typed(ROOT / "README.md", "studio")


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_of_a_page_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    generated = {"run"}  # of the projects that come out
    used = {words[0] for words in typed(page, "make") if words}
    assert used - targets - generated == set()


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    broken: list[str] = []
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_the_index_lists_every_page() -> None:
    index = ROOT / "docs/index.md"
    linked = {(index.parent / link).resolve() for link in LINK.findall(index.read_text())}
    decisions = set((ROOT / "docs/adr").glob("0*.md"))
    changes = set((ROOT / "docs/changes").glob("*.*.md"))
    listed = set((ROOT / "docs").rglob("*.md")) - decisions - changes - {index}
    assert listed - linked == set()
    register = (ROOT / "docs/adr/README.md").read_text()
    assert [page.name for page in sorted(decisions) if page.name not in register] == []


def test_specifications_named_in_pages_pass_the_check(tmp_path: Path) -> None:
    named = {
        word
        for page in pages()
        for words in typed(page, "studio")
        for word in words
        if word.startswith("examples/")
    }
    assert named
    for spec in sorted(named):
        done = subprocess.run(
            [ROOT / ".venv/bin/studio", "check", spec],
            cwd=ROOT,
            env={**os.environ, "FACTORY_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_every_error_about_the_machine_is_in_troubleshooting() -> None:
    page = (ROOT / "docs/howto/troubleshooting.md").read_text()
    sources = "\n".join(
        file.read_text()
        for folder in ("core", "api", "migrations", "plugins")
        for file in (ROOT / folder).rglob("*.py")
        if "/files/" not in str(file)
    )
    unfit = set(
        re.findall(r"^class (\w+)\((?:EnvironmentUnfit|SandboxUnavailable|ServerStartError)\)", sources, re.M)
    )
    assert unfit
    assert {name for name in unfit if f"`{name}`" not in page} == set()
