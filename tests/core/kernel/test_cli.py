"""The command line: what it says, and the code it leaves with."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from factory_core.contracts.sandbox import ProbeRow
from factory_core.kernel import boot, cli
from factory_core.kernel.boot import KERNEL_COMMANDS
from factory_core.sandbox import cgroups


@pytest.fixture
def run(shelf: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run ``studio`` with the plugins of the shelf: exit code, output, error output."""
    monkeypatch.setenv("FACTORY_HOME", str(shelf.home))
    monkeypatch.setattr("factory_core.kernel.plugins.entry_points", lambda group: shelf.entry_points())

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            cli.main(list(words))
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return run


COMMANDS = """
import click
@click.command()
def greet():
    \"\"\"Say hello.\"\"\"
    click.echo("hello")

@click.command()
def fail():
    from factory_core.errors import EnvironmentUnfit
    raise EnvironmentUnfit("The disk is full. Make room.")

@click.command()
def crash():
    raise KeyError("oops")

@click.command()
def interrupt():
    raise KeyboardInterrupt
"""
PLUGIN = """
@hookimpl
def factory_commands():
    return {name: "greetings:" + name for name in ("greet", "fail", "crash", "interrupt", "missing")}
"""


@pytest.fixture
def greetings(shelf: Any) -> None:
    (shelf.folder / "greetings.py").write_text(COMMANDS)
    shelf.add("greetings", PLUGIN)


def test_help_lists_every_command_and_imports_none(run: Any, greetings: None) -> None:
    sys.modules.pop("greetings", None)
    code, out, _ = run("--help")
    assert code == 0
    assert {"greet", "Say", *KERNEL_COMMANDS} <= set(out.split())
    assert "greetings" not in sys.modules


@pytest.mark.parametrize("words", [(), ("builds",), ("toolchain",)])
def test_a_group_without_a_command_is_wrong_usage_and_shows_help(run: Any, words: tuple[str, ...]) -> None:
    code, out, _ = run(*words)
    assert code == 64
    assert "Usage: studio" in out


@pytest.mark.parametrize("target", KERNEL_COMMANDS.values(), ids=KERNEL_COMMANDS.keys())
def test_every_command_of_the_kernel_exists_and_explains_itself(target: str) -> None:
    assert cli._first_sentence(target).endswith((".", "."))
    assert cli._imported("x", target)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["greet"], 0, "hello"),
        (["fail"], 4, "error: The disk is full. Make room."),
        (["crash"], 70, "defect of Factory Studio: KeyError"),
        (["interrupt"], 130, ""),
        (["missing"], 4, "cannot be used"),
        (["gret"], 64, "Did you mean 'greet'?"),
        (["greet", "--nope"], 64, "--nope"),
        (["--version"], 0, "studio, version"),
    ],
)
def test_each_ending_has_its_code_and_one_message(
    run: Any, greetings: None, words: list[str], code: int, said: str
) -> None:
    left, out, err = run(*words)
    assert left == code
    assert said in out + err
    assert "Traceback" not in out + err


def test_traceback_shows_where_a_defect_is(run: Any, greetings: None) -> None:
    assert 'raise KeyError("oops")' in run("--traceback", "crash")[2]


def test_a_platform_that_does_not_boot_still_shows_help(run: Any, shelf: Any) -> None:
    shelf.add("ours", "1 / 0", first_party=True)
    code, out, err = run("--help")
    assert code == 0
    assert "doctor" in out
    assert "factory-plugin-ours" in err


def test_doctor_names_what_is_missing_and_every_canary_with_what_it_found(run: Any) -> None:
    code, out, _ = run("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(out)["checks"]}
    assert code == 4, "without plugins there is no PostgreSQL"
    assert "FACTORY_DATABASE_URL" in checks["servers"]["detail"]
    assert re.fullmatch(r"(\d+) of \1 escapes refused, tried in \d+\.\d s", checks["sandbox"]["detail"])
    canaries = [check for name, check in checks.items() if name.startswith("sandbox: ")]
    assert len(canaries) > 20
    assert all(check["ok"] for check in canaries)


def test_doctor_says_when_the_sandbox_lets_something_through(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Leaky:
        async def probe(self) -> tuple[ProbeRow, ...]:
            return (
                ProbeRow(name="TCP out", refused=False, detail="connected"),
                ProbeRow(name="mount", refused=True),
            )

    monkeypatch.setattr("factory_core.sandbox.choose_sandbox", Leaky)
    code, out, _ = run("doctor")
    assert code == 4
    assert "FAIL sandbox: 1 of 2 escapes refused" in out
    assert "FAIL sandbox: TCP out: connected" in out
    assert "ok   sandbox: mount" in out


def test_doctor_says_when_nothing_can_be_shared_out_and_passes_all_the_same(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = cgroups.find_place()
    anywhere = place or cgroups.Place(Path("/m"), Path("/p"), Path("/c"))
    for found, said in (
        (None, "none can be made"),
        (replace(anywhere, cpu=None), "the processor cannot be shared out"),
        (replace(anywhere, cpu=Path("/c"), nested=False), "none can be made in another"),
        (replace(anywhere, cpu=Path("/c"), nested=True), None),
    ):
        monkeypatch.setattr(cgroups, "find_place", lambda found=found: found)
        monkeypatch.setattr("factory_core.sandbox.choose_sandbox", Tight)
        checks = {check["name"]: check for check in json.loads(run("doctor", "--json")[1])["checks"]}
        check = checks["control groups"]
        assert (check["ok"], check["required"]) == (said is None, False)
        assert check["detail"].startswith(said or "")
        assert (said is None) == (check["detail"] == "")
        assert said is None or "Delegate=yes" in check["detail"]


class Tight:
    """A sandbox that is not asked here."""

    async def probe(self) -> tuple[ProbeRow, ...]:
        return (ProbeRow(name="mount", refused=True),)


def test_plugins_list_tells_what_each_added_and_why_one_is_off(
    run: Any, shelf: Any, greetings: None, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.add("zbroken", "import nothing_of_this_name")
    monkeypatch.setenv("FACTORY_TYPO", "1")
    code, out, err = run("plugins")
    assert code == 0
    assert "commands: greet, fail" in out
    assert "nothing_of_this_name" in out
    assert "FACTORY_TYPO" in err
    rows = json.loads(run("plugins", "list", "--json")[1])["plugins"]
    assert [(row["name"], row["on"]) for row in rows] == [("greetings", True), ("zbroken", False)]
    assert "Traceback" in rows[1]["traceback"]
    assert run("plugins", "check")[0] == 4
    assert run("plugins", "check", "greetings")[0] == 0
    assert run("plugins", "check", "nobody")[0] == 64


def test_check_tells_problems_and_leaves_with_2(run: Any, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("project: {name: Taskboard}\nentities:\n  Card: {title: text}\n")
    bad.write_text("project: {name: Taskboard}\nentities:\n  Card: {title: tekst}\n")
    assert run("check", str(good))[0] == 0
    code, out, _ = run("check", str(bad))
    assert code == 2
    assert "bad.yaml:3" in out
    code, out, _ = run("check", str(bad), "--json")
    assert code == 2
    assert json.loads(out)["problems"][0]["line"] == 3


def test_plan_without_a_template_says_which_there_are(run: Any, tmp_path: Path) -> None:
    spec = tmp_path / "good.yaml"
    spec.write_text("project: {name: Taskboard}\nentities:\n  Card: {title: text}\n")
    code, _, err = run("plan", str(spec))
    assert code == 2
    assert "There is no template" in err


def test_the_kernels_commands_are_reserved() -> None:
    assert set(KERNEL_COMMANDS) <= set(boot.KERNEL_COMMANDS)
