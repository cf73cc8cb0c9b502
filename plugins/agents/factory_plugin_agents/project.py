"""The context of a whole blueprint and of its nodes, as templates see it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from factory_core.contracts.blueprint import Blueprint, Field, FieldKind, OnDelete, Requirement, Role, Secrecy
from factory_core.contracts.template import TemplatePackage

from . import naming
from .acceptance import case_views
from .actions import ActionView, StubView, action_views, stub_views
from .context import EntityView, FieldView, creation_order, entity_views
from .front import front_model
from .revisions import Earlier, Migration, migration_of
from .samples import Samples, samples_of
from .schema import schema_of
from .trials import mover_of, trial_of

__all__ = ["Design", "ProjectView", "design_of", "node_context"]


class ProjectView(Struct, frozen=True, kw_only=True):
    """The project's own facts."""

    title: str
    slug: str
    package: str
    description: str
    currency: str
    roles: tuple[str, ...]
    role_grants: tuple[Role, ...]
    default_role: str | None
    min_coverage: int
    requirements: tuple[Requirement, ...]


class Design(Struct, frozen=True, kw_only=True):
    """Everything that templates see of one blueprint."""

    blueprint: Blueprint
    project: ProjectView
    entities: tuple[EntityView, ...]
    ordered: tuple[EntityView, ...]
    actions: tuple[ActionView, ...]
    stubs: tuple[StubView, ...]
    flags: dict[str, bool]
    migration: Migration


def design_of(blueprint: Blueprint, earlier: Earlier | None = None) -> Design:
    """Work out names, types, access and code for the whole blueprint, and the way from an earlier release's tables."""
    entities = entity_views(blueprint)
    actions = action_views(blueprint, entities)
    stubs = stub_views(blueprint)
    migration = migration_of(schema_of(entities, accounts=bool(blueprint.roles)), earlier)
    return Design(
        blueprint=blueprint,
        project=ProjectView(
            title=blueprint.project.name,
            slug=blueprint.project.slug,
            package=naming.snake(blueprint.project.slug),
            description=blueprint.project.description,
            currency=blueprint.project.currency,
            roles=tuple(role.name for role in blueprint.roles),
            role_grants=blueprint.roles,
            default_role=blueprint.default_role(),
            min_coverage=blueprint.constraints.min_test_coverage,
            requirements=blueprint.requirements,
        ),
        entities=entities,
        ordered=creation_order(entities),
        actions=actions,
        stubs=stubs,
        flags=_flags(blueprint, entities, actions, stubs) | {"migration": migration.new},
        migration=migration,
    )


def node_context(design: Design, template: TemplatePackage, each: str, node: str) -> dict[str, Any]:
    """The context of one node: ``node`` is the name of an entity, view or case, or ``METHOD /path``."""
    context: dict[str, Any] = {
        "project": design.project,
        "entities": design.entities,
        "ordered": design.ordered,
        "actions": design.actions,
        "stubs": design.stubs,
        "machines": tuple(machine for entity in design.entities for machine in entity.machines),
        "flags": dict(design.flags),
        "migration": design.migration,
        "softer": tuple(
            (f"{entity.name}.{field.name}", _softer(field))
            for entity in design.entities
            for field in entity.fields
            if field.target_class and field.on_delete
        ),
        "renamed": {
            field.column_name: field.name
            for entity in design.entities
            for field in entity.columns
            if field.column_name != field.name
            and (field.field.unique or any(field.attr in attrs for attrs in entity.unique_together))
        },
        "names": {
            "slug": design.project.slug,
            "package": design.project.package,
            "migration": design.migration.file,
        },
    }
    if each == "project":
        context["makers"] = tuple(
            (entity, samples_of(design.blueprint, entity), best_role(design, entity))
            for entity in design.entities
        )
        context["front"] = front_model(design.blueprint)
        context["lock"] = (template.root / template.manifest.toolchain.lock).read_text()
    fill = {"entity": _entity, "endpoint": _endpoint, "view": _view, "case": _case}.get(each)
    if fill:
        fill(context, design, node)
    return context


def _softer(field: FieldView) -> str:
    """What a reference does, in words, when the row it names is deleted."""
    if field.many:
        return "the link goes"
    return "the reference is cleared" if field.field.on_delete is OnDelete.CLEAR else "the row goes with it"


def _entity(context: dict[str, Any], design: Design, node: str) -> None:
    entity = next(view for view in design.entities if view.name == node)
    context["entity"] = entity
    context["samples"] = samples_of(design.blueprint, entity)
    context["best"] = best_role(design, entity)
    context["referrers"] = referrers(design, entity)
    around = {field.target_module for field in entity.referring}
    context["neighbours"] = sorted(around | {item.entity.module for item in context["referrers"]})
    context["flags"]["entity_rules"] = entity.ruled
    context["names"] |= {"module": entity.module, "collection": entity.path.strip("/")}


def _endpoint(context: dict[str, Any], design: Design, node: str) -> None:
    action = next((view for view in design.actions if view.node == node), None)
    context["action"] = action
    if action is not None:
        context |= _trial(design, action)
    context["flags"]["action"] = action is not None
    context["names"] |= {"module": action.module if action else "", "collection": ""}


def _trial(design: Design, action: ActionView) -> dict[str, Any]:
    trial = trial_of(design.blueprint, action)
    default = design.project.default_role
    free = [role for role in action.roles if role not in action.own] or list(action.roles)
    return {
        "samples": trial.body,
        "changes": trial.changes,
        "way": trial.way,
        "expected": trial.expected,
        "filled": trial.filled,
        "blocked": trial.blocked,
        "makeable": trial.makeable and action.by_id,
        "neighbours": trial.neighbours,
        "best": default if default in free else (free[0] if free else ""),
        "mover": mover_of(action.entity, design.project.roles, default),
    }


def _view(context: dict[str, Any], design: Design, node: str) -> None:
    view = next(view for view in design.blueprint.views if view.name == node)
    context["view"] = view
    context["names"] |= {"module": naming.module(view.name), "slug": naming.kebab(view.name)}


def _case(context: dict[str, Any], design: Design, node: str) -> None:
    case = next(view for view in case_views(design.blueprint) if view.case.name == node)
    context["case"] = case
    context["names"] |= {"module": case.slug, "slug": case.slug}


def best_role(design: Design, entity: EntityView) -> str:
    """The role that tests of an entity call as: the one that may do most with it."""
    access = entity.access
    calls = (access.list, access.create, access.details, access.update, access.delete)
    roles = sorted(
        design.project.roles,
        key=lambda role: (
            -sum(2 * (role in call.roles) - (role in call.own) for call in calls),
            role != design.project.default_role,
        ),
    )
    return roles[0] if roles else ""


class Referrer(Struct, frozen=True, kw_only=True):
    """A field of some entity that refers to another one."""

    entity: EntityView
    field: FieldView
    samples: Samples

    @property
    def companions(self) -> tuple[tuple[str, str], ...]:
        """Other keys a referring row needs."""
        return self.samples.companions.get(self.field.name, ())

    @property
    def changes(self) -> str:
        """What the row that is referred to needs."""
        return self.samples.targets.get(self.field.name, "")


def referrers(design: Design, entity: EntityView) -> tuple[Referrer, ...]:
    """Whatever can keep a row of the entity from being deleted."""
    return tuple(
        Referrer(entity=other, field=field, samples=samples_of(design.blueprint, other))
        for other in design.entities
        for field in other.writable
        if field.target_module == entity.module
    )


def _flags(
    blueprint: Blueprint,
    entities: tuple[EntityView, ...],
    actions: tuple[ActionView, ...],
    stubs: tuple[StubView, ...],
) -> dict[str, bool]:
    fields = [item for view in entities for field in view.fields for item in _with_items(field.field)]
    fields += [item for action in actions for field in action.body for item in _with_items(field.field)]
    roles = bool(blueprint.roles)
    hashed = roles or any(field.secrecy is Secrecy.HASHED for field in fields)
    encrypted = any(field.secrecy is Secrecy.ENCRYPTED for field in fields)
    flags = {kind.value: any(field.kind is kind for field in fields) for kind in FieldKind}
    return flags | {
        "text": flags["text"] or flags["email"] or flags["url"],
        "roles": roles,
        "states": bool(blueprint.states),
        "rules": any(view.ruled for view in entities),
        "own": any(view.access.any_own for view in entities),
        "actions": bool(actions),
        "stubs": bool(stubs),
        "hashed": hashed,
        "encrypted": encrypted,
        "secrecy": hashed or encrypted,
        "secret_key": roles or encrypted,
        "references": any(field.target_class for view in entities for field in view.fields),
        "json_required": any(field.kind is FieldKind.JSON and not field.optional for field in fields),
        "today": any(field.default == "today" for field in fields)
        or any("today()" in rule.condition for view in entities for rule in view.rules.broken)
        or any("today()" in value for action in actions for value in action.values_code),
        "lists": any(
            field.kind is FieldKind.LIST
            and field.item is not None
            and field.item.kind not in {FieldKind.TEXT, FieldKind.INT, FieldKind.FLOAT, FieldKind.BOOL}
            for field in fields
        ),
        "acceptance": bool(blueprint.acceptance),
        "entities": bool(entities),
        "bodies": bool(entities) or roles,
        "cyclic": any(field.cyclic for view in entities for field in view.fields),
    }


def _with_items(field: Field) -> list[Field]:
    return [field, field.item] if field.item else [field]
