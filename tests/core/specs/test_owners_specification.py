"""The owner's own specification, which is no part of the repository: SPECS_DIR names the folder it lies in.

Without that variable there is no such test, so that nothing counts as passed or skipped that did not run.
"""

from __future__ import annotations

import os
from pathlib import Path

from factory_core.contracts.blueprint import FieldKind
from factory_core.specs import read, render_problems

SEED = "factory_studio_spec.md"
FOLDER = os.environ.get("SPECS_DIR", "")

if FOLDER:

    def test_the_owners_specification_is_read_and_nothing_of_it_dropped():
        data = (Path(FOLDER) / SEED).read_bytes()
        found = read(data, name=SEED)
        blueprint = found.blueprint
        assert blueprint is not None, render_problems(found, SEED)
        assert found.problems == ()
        assert data.count(b"```yaml") == 16

        sized = [hint for hint in blueprint.hints.agents if hint.low is not None and hint.high is not None]
        assert len(sized) == 52
        assert (sum(hint.low or 0 for hint in sized), sum(hint.high or 0 for hint in sized)) == (592, 748)
        assert [hint.percent for hint in blueprint.hints.agents if hint.percent] == [40, 30, 20, 10]
        assert blueprint.constraints.max_agents == 200

        tasks = [task for phase in blueprint.phases for task in phase.tasks]
        names = {phase.name for phase in blueprint.phases}
        assert (len(blueprint.phases), len(tasks)) == (6, 20)
        assert sum(name in names for task in tasks for name in task.after) == 7
        assert [phase.window_minutes for phase in blueprint.phases][-1] == (210, 240)

        assert {entity.name: entity.path for entity in blueprint.entities} == {
            name: f"/{name}" for name in ("users", "builds", "projects", "analytics")
        }
        builds, projects = blueprint.entity("builds"), blueprint.entity("projects")
        assert (builds.field("user_id").kind, builds.field("user_id").target) == (
            FieldKind.REFERENCE,
            "users",
        )
        assert projects.field("template_id").kind is FieldKind.UUID
        assert [role.name for role in blueprint.roles] == ["admin", "user", "viewer"]
        assert {one.name: one.path for one in blueprint.endpoints} == {
            "POST_create_build": "/builds",
            "GET_list_builds": "/builds",
            "GET_build_details": "/builds/{id}",
            "GET_build_logs": "/builds/{id}/logs",
            "GET_download_artifact": "/builds/{id}/artifact",
            "DELETE_cancel_build": "/builds/{id}/cancel",
            "CRUD_operations": "/projects/{id}",
        }

        leaves = [node for node in blueprint.nodes if node.part != "hint" or "#" not in node.path]
        assert len({node.path for node in blueprint.nodes}) == len(blueprint.nodes)
        assert len(leaves) > 900
        assert {"README.md", ".env.example", "LICENSE"} <= set(blueprint.deliverables)
        assert blueprint.technology["fastapi"] == "0.109+"
        assert len(blueprint.do_not_build) == 10
