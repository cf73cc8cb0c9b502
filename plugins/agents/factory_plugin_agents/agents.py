"""The agents that need no model: each a pure function of its work."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
from msgspec.structs import replace

from factory_core.contracts.agent import Finding, FindingLevel, Outcome, Tools, Work
from factory_core.contracts.blueprint import Blueprint
from factory_core.contracts.files import Produced
from factory_core.contracts.template import WorkSpec

from .branches import check_branch
from .decomposer import part_of
from .files import differs, released
from .project import Design, design_of, node_context
from .render import render_work
from .revisions import earlier_of, kept_files, upgrade_findings
from .tidy import TIDY_SCRIPT

__all__ = ["Analyzer", "Architect", "Builder", "Documenter", "Integrator", "Migrator", "Tester"]

VERSION = "1"


def spec_of(work: Work) -> WorkSpec:
    """The kind of work a task is."""
    return next(spec for spec in work.template.manifest.work if spec.name == work.params["work"])


def nodes_in(work: Work) -> list[str]:
    """The names of the nodes a task covers; work on the whole project covers one without a name."""
    return msgspec.json.decode(work.params.get("nodes", "[]"), type=list[str]) or [""]


class Analyzer:
    """Says what the blueprint holds, what was assumed, and what nobody understood."""

    name = "analyzer"
    version = VERSION

    async def run(self, work: Work, tools: Tools) -> Outcome:
        """Assumptions and gaps as findings; which requirement is linked to what as data."""
        blueprint = work.blueprint
        unknown = [node for node in blueprint.nodes if not node.part]
        design = design_of(blueprint, await earlier_of(work, tools))
        refused = [text for entity in design.entities for text in entity.rules.refused]
        await tools.log(
            f"{len(blueprint.entities)} entities, {len(blueprint.endpoints)} endpoints, "
            f"{len(blueprint.requirements)} requirements, {len(unknown)} lines not understood"
        )
        findings = [
            Finding(
                level=FindingLevel.INFO, code="assumption", message=item.text, path=item.path, line=item.line
            )
            for item in blueprint.assumptions
        ]
        findings += [
            Finding(
                level=FindingLevel.WARNING,
                code="not-understood",
                message=f"{node.path} is kept, and nothing was made of it.",
                path=node.path,
                line=node.line,
            )
            for node in unknown
        ]
        findings += [
            Finding(
                level=FindingLevel.WARNING,
                code="rule-not-generated",
                message=f"The rule {text!r} could not be written as code.",
            )
            for text in refused
        ]
        found, failure = upgrade_findings(design.migration, blueprint)
        if failure:
            return Outcome(findings=(*findings, *found), failure=failure)
        return Outcome(findings=(*findings, *found), data={"requirements": requirement_matrix(blueprint)})


def requirement_matrix(blueprint: Blueprint) -> dict[str, list[str]]:
    """``requirement id -> parts of the blueprint that name it``."""
    named: list[tuple[str, tuple[str, ...]]] = []
    for entity in blueprint.entities:
        named.append((f"entity:{entity.name}", entity.requirements))
        named += [(f"field:{entity.name}.{field.name}", field.requirements) for field in entity.fields]
    named += [(f"rule:{rule.entity}: {rule.text}", rule.requirements) for rule in blueprint.rules]
    named += [(f"states:{item.entity}.{item.field}", item.requirements) for item in blueprint.states]
    named += [(f"endpoint:{item.method} {item.path}", item.requirements) for item in blueprint.endpoints]
    named += [(f"view:{view.name}", view.requirements) for view in blueprint.views]
    named += [(f"case:{case.name}", case.requirements) for case in blueprint.acceptance]
    return {
        requirement.id: [part for part, ids in named if requirement.id in ids]
        + [f"by:{path}" for path in requirement.by]
        for requirement in blueprint.requirements
    }


class Architect:
    """Draws the map: which kind of work makes which files."""

    name = "architect"
    version = VERSION

    async def run(self, work: Work, tools: Tools) -> Outcome:
        """The map as data. Two makers of one path are an error of the template."""
        design = design_of(work.blueprint, await earlier_of(work, tools))
        paths = {
            spec.name: sorted(_paths(work, spec, design))
            for spec in work.template.manifest.work
            if spec.files and not spec.on
        }
        counted = Counter(path for made in paths.values() for path in made)
        twice = [path for path, times in counted.items() if times > 1]
        if twice:
            return Outcome(failure=f"More than one task would make {', '.join(twice)}.")
        await tools.log(f"{len(counted)} files, {len(design.entities)} tables, {len(design.actions)} actions")
        data: dict[str, Any] = {"files": paths, "revision": design.migration.revision}
        return Outcome(data=data)


def _paths(work: Work, spec: WorkSpec, design: Design) -> list[str]:
    nodes = nodes_of(work.blueprint)[spec.each]
    found: list[str] = []
    for node in nodes:
        context = node_context(design, work.template, spec.each, node)
        found += [
            file.path.format_map(context["names"])
            for file in spec.files
            if not file.when or context["flags"].get(file.when, False)
        ]
    return found


def nodes_of(blueprint: Blueprint) -> dict[str, list[str]]:
    """The nodes that each kind of work is done for."""
    return {
        "project": [""],
        "entity": [entity.name for entity in blueprint.entities],
        "endpoint": [f"{endpoint.method} {endpoint.path}" for endpoint in blueprint.endpoints],
        "view": [view.name for view in blueprint.views],
        "case": [case.name for case in blueprint.acceptance],
    }


class Builder:
    """Renders the code of its nodes."""

    name = "builder"
    version = VERSION

    async def run(self, work: Work, tools: Tools) -> Outcome:
        """The files of the task's kind of work."""
        spec = part_of(spec_of(work), work.params)
        design = design_of(work.blueprint, await earlier_of(work, tools))
        files: list[Produced] = []
        for node in nodes_in(work):
            files += render_work(work.template, spec, node_context(design, work.template, spec.each, node))
        await tools.log(", ".join(file.path for file in files) or "nothing to write here")
        return Outcome(files=tuple(files))


class Migrator(Builder):
    """Renders the next migration and keeps those of the release as they are."""

    name = "migrator"

    async def run(self, work: Work, tools: Tools) -> Outcome:
        """The files of the task's kind of work, and the release's migrations."""
        design = design_of(work.blueprint, await earlier_of(work, tools))
        _, failure = upgrade_findings(design.migration, work.blueprint)
        if failure:
            return Outcome(failure=failure)
        outcome = await super().run(work, tools)
        kept = [
            Produced(path=ref.path, content=await tools.read(ref), executable=ref.executable)
            for ref in kept_files(work)
        ]
        return replace(outcome, files=(*outcome.files, *kept))


class Tester(Builder):
    """Renders the tests of one node, from the blueprint alone."""

    name = "tester"


class Documenter(Builder):
    """Renders documents."""

    name = "documenter"


class Integrator:
    """Brings files together: unused imports go, imports are sorted, everything is formatted. A track it checks as well."""

    name = "integrator"
    version = "2"

    async def run(self, work: Work, tools: Tools) -> Outcome:
        """The files that tidying changed, in their last form. For a track also its gates."""
        if "track" in work.params:
            return await check_branch(work, tools)
        sources = tuple(ref for ref in work.inputs if ref.path.endswith(".py"))
        settings = tuple(ref for ref in work.inputs if ref.path == "pyproject.toml")
        result, files = await tools.run(
            ("python", "-c", TIDY_SCRIPT), (*settings, *sources), collect=("**/*.py",)
        )
        if result.exit_code != 0:
            told = (result.stderr or result.stdout).decode(errors="replace")[-2000:]
            return Outcome(failure=f"The code could not be formatted: {told}")
        before = {ref.path: ref for ref in sources if not released(ref, work)}
        changed = [
            file for file in files if file.path in before and await differs(file, before[file.path], tools)
        ]
        await tools.log(f"{len(sources)} Python files tidied, {len(changed)} changed")
        return Outcome(files=tuple(changed))
