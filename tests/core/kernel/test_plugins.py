"""Loading plugins: what a good one brings, and that a bad one is off, named with its cause, and alone in its fault."""

from __future__ import annotations

from typing import Any

import pytest

from factory_core.kernel.plugins import PluginFault, PluginReport, hook_names
from factory_core.settings import SettingsError

GOOD = """
from litestar import get
from factory_core.contracts.jobs import Job

@get("/good")
async def good() -> str:
    return "good"

async def run() -> None: ...

@hookimpl
def factory_routes(boot):
    return [good]

@hookimpl
def factory_jobs():
    return [Job(name="tidy", run=run)]

@hookimpl
def factory_commands(boot):
    return {"greet": "good.commands:greet"}
"""

AGENT = "\n@hookimpl\ndef factory_agents(): return [A()]"
SETTINGS = "\n@hookimpl\ndef factory_settings(): return S"
ROUTE = "\n@hookimpl\ndef factory_routes(): return [x]"

# What the plugin does wrong, and a word of the cause that must be told.
BROKEN = {
    "import": ("import nothing_of_this_name", "nothing_of_this_name"),
    "exit": ("raise SystemExit(3)", "SystemExit"),
    "syntax": ("def x(:", "SyntaxError"),
    "misspelt hook": ("@hookimpl\ndef factory_rutes(boot): return []", "did you mean factory_routes"),
    "unmarked hook": ("def factory_routes(boot): return []", "no @hookimpl"),
    "unknown argument": ("@hookimpl\ndef factory_routes(boat): return []", "boat"),
    "wrapper": ("@hookimpl(wrapper=True)\ndef factory_routes(boot):\n    return (yield)", "wrapper"),
    "exception in a hook": ("@hookimpl\ndef factory_jobs(): return [1 / 0]", "ZeroDivisionError"),
    "no sequence": ("@hookimpl\ndef factory_routes(): return None", "not a sequence"),
    "text for a sequence": ("@hookimpl\ndef factory_jobs(): return 'tidy'", "not a sequence"),
    "no job": ("@hookimpl\ndef factory_jobs(): return ['tidy']", "'tidy', which is not a Job"),
    "no route": ("@hookimpl\ndef factory_routes(): return [print]", "not a Litestar"),
    "no mapping": ("@hookimpl\ndef factory_commands(): return ['greet']", "not a mapping"),
    "no command": ("@hookimpl\ndef factory_commands(): return {'greet': 'nowhere'}", "module:function"),
    "a class of agent": (
        "class A:\n    name = 'a'\n@hookimpl\ndef factory_agents(): return [A]",
        "an instance that conforms to Agent",
    ),
    "an agent without version": (
        "class A:\n    name = 'a'\n    async def run(self, work, tools): ..." + AGENT,
        "no text 'version'",
    ),
    "an agent that is not async": (
        "class A:\n    name = version = 'a'\n    def run(self, work, tools): ..." + AGENT,
        "not 'async def'",
    ),
    "an agent with other arguments": (
        "class A:\n    name = version = 'a'\n    async def run(self, work): ..." + AGENT,
        "cannot be called as promised",
    ),
    "an agent that cannot run": (
        "class A:\n    name = version = 'a'" + AGENT,
        "no method run()",
    ),
    "a missing template": (
        "from pathlib import Path\n@hookimpl\ndef factory_templates(): return [Path('/nowhere')]",
        "factory.toml",
    ),
    "no app": ("@hookimpl\ndef factory_piccolo_apps(): return [object()]", "AppConfig"),
    "settings that are no Struct": ("@hookimpl\ndef factory_settings(): return int", "not a msgspec Struct"),
    "settings that can change": (
        "from msgspec import Struct\nclass S(Struct): ..." + SETTINGS,
        "not frozen",
    ),
    "settings that are missing": (
        "from msgspec import Struct\nclass S(Struct, frozen=True):\n    key: str" + SETTINGS,
        "FACTORY_ZBROKEN_KEY",
    ),
    "settings it did not declare": (
        "from msgspec import Struct\nclass S(Struct, frozen=True): ...\n@hookimpl\n"
        "def factory_jobs(boot): return [boot.settings(S)]",
        "factory_settings of plugin zbroken does not return S",
    ),
    "a route of the kernel": (
        "from litestar import get\n@get('/health/live')\nasync def x() -> None: ..." + ROUTE,
        "GET /health/live is already there; the kernel brought it",
    ),
    "a route of another plugin": (
        "from litestar import get\n@get('/good')\nasync def x() -> None: ..." + ROUTE,
        "GET /good is already there; plugin good brought it",
    ),
    "a job of another plugin": (
        "from factory_core.contracts.jobs import Job\n@hookimpl\ndef factory_jobs(): return [Job(name='tidy', run=print)]",
        "tidy is already there",
    ),
    "a command of another plugin": (
        "@hookimpl\ndef factory_commands(): return {'greet': 'a:b'}",
        "greet is already there; plugin good brought it",
    ),
    "a command of the kernel": (
        "@hookimpl\ndef factory_commands(): return {'serve': 'a:b'}",
        "serve is already there; the kernel brought it",
    ),
}


def row(studio: Any, name: str) -> PluginReport:
    return next(report for report in studio.reports() if report.name == name)


def test_the_kernel_boots_with_zero_plugins(shelf: Any) -> None:
    studio = shelf.boot()
    assert studio.reports() == ()
    assert studio.routes() == ()
    assert "serve" in studio.commands()


def test_a_good_plugin_is_on_and_what_it_added_is_listed(shelf: Any) -> None:
    shelf.add("good", GOOD)
    report = row(shelf.boot(), "good")
    assert report.on
    assert report.version == "1.2.3"
    assert report.added == {"routes": ("GET /good",), "jobs": ("tidy",), "commands": ("greet",)}


@pytest.mark.parametrize(("source", "cause"), BROKEN.values(), ids=BROKEN.keys())
def test_a_third_partys_fault_switches_that_plugin_off_and_names_the_cause(
    shelf: Any, source: str, cause: str
) -> None:
    shelf.add("good", GOOD)
    shelf.add("zbroken", source)
    studio = shelf.boot()
    assert row(studio, "good").on
    broken = row(studio, "zbroken")
    assert not broken.on
    assert cause in broken.cause
    assert broken.added == {}
    assert [route.fn.__name__ for route in studio.routes()] == ["good"]


@pytest.mark.parametrize(("source", "cause"), BROKEN.values(), ids=BROKEN.keys())
def test_a_first_party_fault_stops_the_boot_and_names_the_cause(shelf: Any, source: str, cause: str) -> None:
    shelf.add("good", GOOD, first_party=True)
    shelf.add("zbroken", source, first_party=True)
    with pytest.raises(PluginFault) as caught:
        shelf.boot()
    assert cause in str(caught.value)
    assert "factory-plugin-zbroken" in str(caught.value)


def test_a_plugin_at_fault_takes_back_what_it_had_offered(shelf: Any) -> None:
    shelf.add(
        "half",
        "@hookimpl\ndef factory_commands(): return {'a': 'b:c'}\n@hookimpl\ndef factory_health(): return 1",
    )
    shelf.add("other", "@hookimpl\ndef factory_jobs(): return []")
    studio = shelf.boot()
    assert "a" not in studio.commands()
    assert not row(studio, "half").on


def test_a_third_party_never_displaces_the_platform(shelf: Any) -> None:
    shelf.add("aaa", GOOD)
    shelf.add("zzz", GOOD, first_party=True)
    studio = shelf.boot()
    assert [(r.name, r.on) for r in studio.reports()] == [("zzz", True), ("aaa", False)]


def test_two_plugins_of_one_name_are_told_apart_by_their_distribution(shelf: Any) -> None:
    shelf.add("same", GOOD, distribution="first")
    shelf.add("same", GOOD, distribution="second")
    reports = {r.distribution: r for r in shelf.boot().reports()}
    assert reports["first"].on
    assert "already called 'same'" in reports["second"].cause


def test_the_traceback_is_kept(shelf: Any) -> None:
    shelf.add("broken", "def deep():\n    return 1 / 0\n@hookimpl\ndef factory_jobs(): return deep()")
    traceback = row(shelf.boot(), "broken").traceback
    assert "in deep" in traceback
    assert "ZeroDivisionError" in traceback


def test_a_malformed_setting_of_a_plugin_is_that_plugins_fault(shelf: Any) -> None:
    source = "from msgspec import Struct\nclass S(Struct, frozen=True):\n    n: int = 1" + SETTINGS
    shelf.add("counts", source)
    assert row(shelf.boot(FACTORY_COUNTS_N="3"), "counts").on
    assert "FACTORY_COUNTS_N" in row(shelf.boot(FACTORY_COUNTS_N="three"), "counts").cause


def test_a_malformed_setting_of_the_kernel_stops_the_boot(shelf: Any) -> None:
    with pytest.raises(SettingsError, match="FACTORY_PORT"):
        shelf.boot(FACTORY_PORT="http")


SERVER = """
class Server:
    name = "{0}"
    def url(self, home): return "{0}://" + home.name
    def start(self, home): ...
    def alive(self, home): return True
    def stop(self, home): ...

@hookimpl{1}
def factory_database_url(boot): return Server()
"""


def test_the_first_server_wins_unless_another_asks_to_go_before(shelf: Any) -> None:
    shelf.add("a", SERVER.format("a", ""))
    shelf.add("b", SERVER.format("b", "(tryfirst=True)"))
    assert shelf.boot().database_url() == "b://home"
    assert shelf.boot(FACTORY_DATABASE_URL="postgresql://x").database_url() == "postgresql://x"


def test_every_hook_has_a_check_for_what_it_returns() -> None:
    from factory_core.kernel.offers import OFFERS

    assert set(OFFERS) == set(hook_names())
