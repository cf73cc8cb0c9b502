"""Rendering: a template's files for one node of the blueprint."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from factory_core.contracts.files import Produced
from factory_core.contracts.template import TemplatePackage, WorkSpec

from .code import FILTERS

__all__ = ["render_work"]


def render_work(template: TemplatePackage, spec: WorkSpec, context: dict[str, Any]) -> tuple[Produced, ...]:
    """The files of ``spec`` for the node whose context this is; those whose flag is off do not exist.

    ``context["names"]`` fills the placeholders of paths.
    """
    environment = _environment(template.root / "files")
    produced: list[Produced] = []
    for file in spec.files:
        if file.when and not context["flags"].get(file.when, False):
            continue
        if file.source.endswith(".j2"):
            content = environment.get_template(file.source).render(context).encode()
        else:
            content = (template.root / "files" / file.source).read_bytes()
        path = file.path.format_map(context["names"])
        produced.append(Produced(path=path, content=content, executable=file.executable))
    return tuple(produced)


@cache
def _environment(files: Path) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(files),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - what is rendered is source code, which escapes by the filters of code.py
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(FILTERS)
    return environment
