"""The whole project at once, without an engine: the same templates in the same order, for tests and for authors."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from subprocess import run

import msgspec

from factory_core.contracts.blueprint import Blueprint
from factory_core.contracts.template import Manifest, TemplatePackage

from .agents import nodes_of
from .project import design_of, node_context
from .render import render_work
from .revisions import earlier_in, is_migration
from .tidy import TIDY_SCRIPT

__all__ = ["load_template", "render_project", "render_raw"]


def load_template(root: Path) -> TemplatePackage:
    """The template package in a folder."""
    manifest = msgspec.toml.decode((root / "factory.toml").read_bytes(), type=Manifest)
    digest = hashlib.sha256()
    for file in sorted(
        path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return TemplatePackage(manifest=manifest, root=root, digest=digest.hexdigest())


def render_raw(
    blueprint: Blueprint,
    template: TemplatePackage,
    *,
    only: str = "",
    release: Mapping[str, bytes] | None = None,
) -> dict[str, bytes]:
    """Every file as the builders leave it, before it is tidied; with ``only``, those of that entity's own tasks.
    ``release`` are the files of a release that it stands on."""
    design = design_of(blueprint, earlier_in(release) if release else None)
    nodes = nodes_of(blueprint)
    if only:
        nodes |= {"project": [], "case": [], "entity": [only]}
    files: dict[str, bytes] = {}
    for spec in template.manifest.work:
        if not spec.files or spec.on:
            continue
        for node in nodes[spec.each]:
            produced = render_work(template, spec, node_context(design, template, spec.each, node))
            files |= {file.path: file.content for file in produced}
    return files | {path: content for path, content in (release or {}).items() if is_migration(path)}


def render_project(
    blueprint: Blueprint,
    template: TemplatePackage,
    *,
    python: Path,
    release: Mapping[str, bytes] | None = None,
) -> dict[str, bytes]:
    """Every file as a build leaves it. ``python`` is an interpreter that has the template's toolchain."""
    files = render_raw(blueprint, template, release=release)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path, content in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        run((str(python), "-c", TIDY_SCRIPT), cwd=root, check=True, capture_output=True)
        return {path: (root / path).read_bytes() for path in files}
