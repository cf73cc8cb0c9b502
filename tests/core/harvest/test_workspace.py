from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_core.builds.harvest.contribution import Contribution, TwoOwners, check_contributions
from factory_core.builds.harvest.workspace import make_repository
from factory_core.builds.paths import PathRefused
from factory_core.contracts.files import Produced


@pytest.fixture
def unpacked(tmp_path: Path, contributions: tuple[Contribution, ...]) -> Path:
    folder = tmp_path / "project"
    for file in make_repository(contributions):
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(0o755 if file.executable else 0o644)
    return folder


def test_git_finds_nothing_wrong_with_it(unpacked: Path, git: Callable[..., str]) -> None:
    assert git(unpacked, "fsck", "--strict", "--full", "--no-dangling") == ""


def test_the_tree_is_clean_as_unpacked(unpacked: Path, git: Callable[..., str]) -> None:
    assert git(unpacked, "status", "--porcelain") == ""
    (unpacked / "README.md").write_text("changed")
    assert git(unpacked, "status", "--porcelain") == " M README.md\n", "and a change is seen"


def test_the_history_tells_who_made_what_in_order(unpacked: Path, git: Callable[..., str]) -> None:
    log = git(unpacked, "log", "--reverse", "--format=%s|%an <%ae>|%aI|%(trailers:key=Made-by,valueonly)")
    assert [line for line in log.splitlines() if line] == [
        "Lay out the project|Factory Studio <studio@factory.invalid>|2026-01-01T00:00:00+00:00|skeleton",
        "Make models/Card|Factory Studio <studio@factory.invalid>|2026-01-01T00:00:01+00:00|models/Card",
        "Make models/Straße|Factory Studio <studio@factory.invalid>|2026-01-01T00:00:02+00:00|models/Straße",
    ]
    assert "app/models/card.py | 1 +" in git(unpacked, "log", "--stat")
    assert git(unpacked, "branch", "--show-current") == "main\n"


def test_modes_are_kept(unpacked: Path, git: Callable[..., str]) -> None:
    listed = git(unpacked, "ls-files", "--stage")
    assert "100755" in next(line for line in listed.splitlines() if line.endswith("run.sh"))
    assert listed.count("100755") == 1


def test_one_can_go_on_working_in_it(unpacked: Path, git: Callable[..., str]) -> None:
    (unpacked / "new.txt").write_text("new")
    git(unpacked, "add", "new.txt")
    git(unpacked, "-c", "user.name=A", "-c", "user.email=a@b.invalid", "commit", "-m", "Go on")
    assert git(unpacked, "rev-list", "--count", "HEAD") == "4\n"


def test_equal_contributions_give_equal_bytes(contributions: tuple[Contribution, ...]) -> None:
    assert make_repository(contributions) == make_repository(contributions)


def test_hostile_titles_stay_on_their_line(made: Callable[..., Contribution]) -> None:
    title = "ok\n\nMade-by: somebody\x00else\ttab"
    one = make_repository((made("a", "x", title=title),))
    other = make_repository((made("a", "x", title="ok Made-by: somebody else tab"),))
    assert one == other


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "a/../b",
        "..",
        "./a",
        "a//b",
        "a/",
        ".git/config",
        "sub/.GIT/hooks/post-checkout",
        "git~1/config",
        "a\\b",
        "a\nb",
        "a\x1bb",
        "a\u202eb",
        "a\u200bb",
        "a.",
        "a ",
        "a/ b",
        "\udc80",
        "x" * 300,
        "ü" * 200,
        ".g\u200cit/config",
    ],
)
def test_paths_that_could_leave_the_project_are_refused(made: Callable[..., Contribution], path: str) -> None:
    with pytest.raises(PathRefused):
        make_repository((made("a", path),))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a.py", "a.py"),
        ("a.py", "A.py"),
        ("é", "e\u0301"),
        ("straße", "STRASSE"),
        ("a", "a/b"),
        ("A/b", "a"),
        ("D/x", "d/y"),
    ],
)
def test_two_owners_of_one_path_are_refused_by_name(
    made: Callable[..., Contribution], first: str, second: str
) -> None:
    with pytest.raises(TwoOwners, match=r"one.*two|two.*one"):
        make_repository((made("one", first), made("two", second)))


def test_a_task_that_makes_a_path_twice_is_refused(made: Callable[..., Contribution]) -> None:
    with pytest.raises(TwoOwners):
        make_repository((made("one", "a", "a"),))


names = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=4)


@given(st.lists(st.lists(names, min_size=1, max_size=3).map("/".join), max_size=8))
def test_whatever_is_accepted_makes_one_tree_for_every_system(paths: list[str]) -> None:
    files = tuple(Produced(path=path, content=path.encode(errors="replace")) for path in paths)
    made = (Contribution(producer="any", title="Any", files=files),)
    try:
        check_contributions(made)
    except (PathRefused, TwoOwners):
        return
    spelled = [path.casefold() for path in paths]
    assert len(set(spelled)) == len(spelled)
    folders = {path.rsplit("/", depth)[0] for path in spelled for depth in range(1, path.count("/") + 1)}
    assert not folders & set(spelled)
    assert sorted(file.path for file in make_repository(made) if not file.path.startswith(".git/")) == sorted(
        paths
    )
