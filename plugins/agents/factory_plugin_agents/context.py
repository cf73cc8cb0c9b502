"""What templates see: the blueprint with every name, type and default worked out."""

from __future__ import annotations

from msgspec import Struct

from factory_core.contracts.blueprint import (
    Blueprint,
    Entity,
    Field,
    FieldKind,
    OnDelete,
    Secrecy,
)

from . import kinds, naming
from .access import EntityAccess, entity_access
from .circles import cyclic_fields
from .machines import MachineView, machine_view
from .rules import RuleCode, rule_code

__all__ = ["EntityView", "FieldView", "LinkView", "entity_views"]

_ON_DELETE = {OnDelete.REFUSE: "", OnDelete.CASCADE: "CASCADE", OnDelete.CLEAR: "SET NULL"}
_SEARCHED = frozenset({FieldKind.TEXT, FieldKind.EMAIL, FieldKind.URL})


class FieldView(Struct, frozen=True, kw_only=True):
    """One field, ready to be written down."""

    field: Field
    attr: str
    optional: bool
    python: str
    column: str
    body: str
    answer: str
    default: str
    """Python expression of the default; empty without one."""
    dynamic: bool
    """Whether the default is worked out anew for each row."""
    choice: str = ""
    """Name of the enum's type in the schemas."""
    target_class: str = ""
    target_table: str = ""
    target_module: str = ""
    on_delete: str = ""
    cyclic: bool = False
    """Whether the foreign key closes a circle of tables."""

    @property
    def body_name(self) -> str:
        """The type of bodies, by name where it has one."""
        return self.choice or self.body

    @property
    def answer_name(self) -> str:
        """The type of answers, by name where it has one."""
        return self.choice or self.answer

    @property
    def name(self) -> str:
        """The key in JSON."""
        return self.field.name

    @property
    def column_name(self) -> str:
        """The column's name; SQL's reserved words are quoted by SQLAlchemy."""
        return self.attr.rstrip("_")

    @property
    def aliased(self) -> bool:
        """Whether the key in JSON is no possible attribute."""
        return self.attr != self.field.name

    @property
    def writable(self) -> bool:
        """Whether a body may hold it."""
        return not self.field.readonly

    @property
    def shown(self) -> bool:
        """Whether answers hold it."""
        return self.field.secrecy is Secrecy.NONE

    @property
    def many(self) -> bool:
        """Whether it is a many-to-many field."""
        return self.field.kind is FieldKind.MANY

    @property
    def reference(self) -> bool:
        """Whether it holds the id of another row."""
        return self.field.kind is FieldKind.REFERENCE

    @property
    def hashed(self) -> bool:
        """Whether only its hash is kept."""
        return self.field.secrecy is Secrecy.HASHED

    @property
    def encrypted(self) -> bool:
        """Whether it is kept encrypted."""
        return self.field.secrecy is Secrecy.ENCRYPTED

    @property
    def searched(self) -> bool:
        """Whether ``q`` looks into it."""
        return self.shown and self.field.kind in _SEARCHED

    @property
    def kind(self) -> str:
        """The kind's word."""
        return self.field.kind.value


class LinkView(Struct, frozen=True, kw_only=True):
    """The table behind a many-to-many field."""

    name: str
    """The key in JSON."""
    class_name: str
    table: str
    attr: str
    rows_attr: str
    owner: str
    """Column of the row that names."""
    target: str
    """Column of the row that is named."""
    target_table: str
    target_refuses: bool


class EntityView(Struct, frozen=True, kw_only=True):
    """One entity, ready to be written down."""

    entity: Entity
    class_name: str
    module: str
    table: str
    path: str
    words: str
    """``order line``."""
    words_plural: str
    """``order lines``."""
    fields: tuple[FieldView, ...]
    links: tuple[LinkView, ...]
    machines: tuple[MachineView, ...]
    rules: RuleCode
    access: EntityAccess
    unique_together: tuple[tuple[str, ...], ...]
    """Attributes of each constraint."""

    @property
    def stem(self) -> str:
        """The module's name for names that begin with it."""
        return self.module.rstrip("_")

    @property
    def ruled(self) -> bool:
        """Whether there are rules to check, known in full here or not."""
        return bool(self.rules.broken or self.rules.refused)

    @property
    def name(self) -> str:
        """The spec's name."""
        return self.entity.name

    @property
    def a(self) -> str:
        """The words with their article."""
        return f"{'an' if self.words[0] in 'aeio' else 'a'} {self.words}"

    @property
    def unique_columns(self) -> tuple[tuple[str, ...], ...]:
        """Columns of each constraint over several."""
        columns = {field.attr: field.column_name for field in self.fields}
        return tuple(tuple(columns[attr] for attr in attrs) for attrs in self.unique_together)

    @property
    def indexed_columns(self) -> tuple[str, ...]:
        """Columns with an index of their own."""
        found = [
            field.column_name
            for field in self.columns
            if (field.field.indexed or field.reference) and not field.field.unique
        ]
        return (*found, "made_by") if self.access.any_own else tuple(found)

    @property
    def columns(self) -> tuple[FieldView, ...]:
        """Fields that are a column of the table."""
        return tuple(field for field in self.fields if not field.many)

    @property
    def writable(self) -> tuple[FieldView, ...]:
        """Fields a body may hold."""
        return tuple(field for field in self.fields if field.writable)

    @property
    def shown(self) -> tuple[FieldView, ...]:
        """Fields answers hold."""
        return tuple(field for field in self.fields if field.shown)

    @property
    def referring(self) -> tuple[FieldView, ...]:
        """Fields of a body that hold ids of other rows."""
        return tuple(field for field in self.writable if field.target_class)

    @property
    def secret(self) -> tuple[FieldView, ...]:
        """Fields that are hashed or encrypted before they are stored."""
        return tuple(field for field in self.writable if not field.shown)

    @property
    def encrypts(self) -> bool:
        """Whether a body holds something to be encrypted."""
        return any(field.encrypted for field in self.secret)

    @property
    def plural_name(self) -> str:
        """``order_lines``."""
        return self.words_plural.replace(" ", "_")

    @property
    def imported_models(self) -> tuple[str, ...]:
        """The models that the entity's endpoints need."""
        names = {self.class_name, *(link.class_name for link in self.links)}
        return tuple(sorted(names | {field.target_class for field in self.referring}))

    @property
    def searched(self) -> tuple[FieldView, ...]:
        """Fields ``q`` looks into."""
        return tuple(field for field in self.fields if field.searched)

    def field(self, name: str) -> FieldView:
        """The field of that name in the spec. Raises KeyError."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)


def entity_views(blueprint: Blueprint) -> tuple[EntityView, ...]:
    """Every entity of the blueprint, in its order."""
    names = [entity.name for entity in blueprint.entities]
    modules = dict(zip(names, naming.unique(naming.module(name) for name in names), strict=True))
    classes = dict(zip(names, naming.unique(naming.class_name(name) for name in names), strict=True))
    tables = dict(
        zip(names, naming.unique(naming.table(entity.path) for entity in blueprint.entities), strict=True)
    )
    cycles = cyclic_fields(blueprint)
    return tuple(_view(blueprint, entity, modules, classes, tables, cycles) for entity in blueprint.entities)


def _view(
    blueprint: Blueprint,
    entity: Entity,
    modules: dict[str, str],
    classes: dict[str, str],
    tables: dict[str, str],
    cycles: frozenset[tuple[str, str]],
) -> EntityView:
    attributes = naming.unique(naming.attribute(field.name) for field in entity.fields)
    fields: list[FieldView] = []
    links: list[LinkView] = []
    for field, attr in zip(entity.fields, attributes, strict=True):
        target = field.target or ""
        fields.append(
            FieldView(
                field=field,
                attr=attr,
                optional=kinds.effective_optional(field),
                python="list[UUID]" if field.kind is FieldKind.MANY else kinds.python_type(field),
                column="" if field.kind is FieldKind.MANY else kinds.column_type(field),
                body=kinds.body_type(field),
                answer=kinds.body_type(field, bounds=False),
                default=kinds.default_code(field, field.default) if field.has_default else "",
                choice=_choice(classes[entity.name], field),
                dynamic=field.default in {"now", "today"}
                and field.kind in {FieldKind.DATE, FieldKind.DATETIME},
                target_class=classes.get(target, ""),
                target_table=tables.get(target, ""),
                target_module=modules.get(target, ""),
                on_delete=_ON_DELETE[field.on_delete],
                cyclic=(entity.name, field.name) in cycles,
            )
        )
        if field.kind is FieldKind.MANY:
            links.append(_link(entity.name, attr, field, modules, classes, tables))
    by_name = {field.name: attr for field, attr in zip(entity.fields, attributes, strict=True)}
    return EntityView(
        entity=entity,
        class_name=classes[entity.name],
        module=modules[entity.name],
        table=tables[entity.name],
        path=entity.path,
        words=naming.snake(entity.name).replace("_", " "),
        words_plural=naming.plural(naming.snake(entity.name).replace("_", " ")),
        fields=tuple(fields),
        links=tuple(links),
        machines=tuple(
            machine_view(machine, modules[entity.name], by_name[machine.field])
            for machine in blueprint.states
            if machine.entity == entity.name
        ),
        rules=rule_code(blueprint, entity, modules[entity.name]),
        access=entity_access(blueprint, entity),
        unique_together=tuple(tuple(by_name[name] for name in names) for names in entity.unique_together),
    )


def _link(
    owner: str,
    attr: str,
    field: Field,
    modules: dict[str, str],
    classes: dict[str, str],
    tables: dict[str, str],
) -> LinkView:
    target = field.target or ""
    named = f"{modules[target].rstrip('_')}_id"
    return LinkView(
        name=field.name,
        class_name=f"{classes[owner]}{naming.pascal(field.name)}Link",
        table=naming.short(f"{modules[owner].rstrip('_')}_{naming.snake(field.name)}_links"),
        attr=attr,
        rows_attr=f"{attr.rstrip('_')}_links",
        owner=f"{modules[owner].rstrip('_')}_id",
        target=f"other_{named}" if target == owner else named,
        target_table=tables[target],
        target_refuses=field.on_delete is OnDelete.REFUSE,
    )


def _choice(owner: str, field: Field) -> str:
    if field.kind is not FieldKind.ENUM:
        return ""
    name = naming.pascal(field.name)
    return f"{owner}{name}{'Value' if name in {'Create', 'Changes', 'Answer'} else ''}"


def creation_order(views: tuple[EntityView, ...]) -> tuple[EntityView, ...]:
    """The entities so that each table comes after those it refers to, but for cyclic keys."""
    ordered: list[EntityView] = []
    waiting = list(views)
    while waiting:
        made = {view.table for view in ordered}
        ready = [
            view
            for view in waiting
            if all(
                field.target_table in made or field.target_table == view.table or field.cyclic
                for field in view.fields
                if field.reference
            )
        ]
        ordered += ready
        waiting = [view for view in waiting if view not in ready]
    return tuple(ordered)
