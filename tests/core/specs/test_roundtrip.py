"""Blueprints made at random, written as YAML and read back."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from factory_core.contracts.blueprint import (
    Entity,
    Field,
    FieldKind,
    Grant,
    OnDelete,
    Role,
    Secrecy,
    StateMachine,
)
from factory_core.specs import read
from factory_core.specs.names import path_of

NAMES = ("Alpha", "BetaItem", "gamma_ray", "Delta Force", "select", "Class", "users")
FIELDS = ("title", "class", "from", "group by", "maxValue", "is_open", "note-2", "import")
WORDS = ("todo", "doing", "all done", "x-1")


@st.composite
def plain_fields(draw: st.DrawFn) -> Field:
    kind = draw(
        st.sampled_from(
            ["text", "int", "decimal", "bool", "date", "datetime", "enum", "json", "uuid", "url", "float"]
        )
    )
    field = Field(name="x", kind=FieldKind(kind), optional=draw(st.booleans()), indexed=draw(st.booleans()))
    if kind == "text" and draw(st.booleans()):
        low = draw(st.integers(0, 5))
        field = replace(field, minimum=low, maximum=draw(st.integers(max(low, 1), 99)))
    if kind == "int" and draw(st.booleans()):
        low = draw(st.integers(-9, 9))
        field = replace(
            field, minimum=low, maximum=low + draw(st.integers(0, 9)), has_default=True, default=low
        )
    if kind == "decimal":
        field = replace(field, precision=draw(st.integers(3, 38)), scale=draw(st.integers(0, 3)))
    if kind == "bool":
        field = replace(field, has_default=True, default=draw(st.booleans()))
    if kind == "enum":
        words = tuple(draw(st.lists(st.sampled_from(WORDS), min_size=1, unique=True)))
        field = replace(field, values=words, has_default=True, default=words[0])
    if kind in ("date", "datetime") and draw(st.booleans()):
        field = replace(field, has_default=True, default={"date": "today", "datetime": "now"}[kind])
    return replace(field, unique=kind != "json" and draw(st.booleans()))


@st.composite
def linked_fields(draw: st.DrawFn, names: tuple[str, ...]) -> Field:
    target = draw(st.sampled_from(names))
    choice = draw(st.sampled_from(["many", "list", "secret", "refuse", "cascade", "clear"]))
    if choice == "many":
        return Field(name="x", kind=FieldKind.MANY, target=target)
    if choice == "list":
        return Field(name="x", kind=FieldKind.LIST, item=Field(name="item", kind=FieldKind.EMAIL))
    if choice == "secret":
        return Field(
            name="x", kind=FieldKind.TEXT, secrecy=draw(st.sampled_from([Secrecy.HASHED, Secrecy.ENCRYPTED]))
        )
    return Field(
        name="x",
        kind=FieldKind.REFERENCE,
        target=target,
        optional=choice == "clear",
        on_delete=OnDelete(choice),
    )


@st.composite
def entities(draw: st.DrawFn) -> tuple[Entity, ...]:
    names = tuple(draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True)))
    found: list[Entity] = []
    for name in names:
        keys = draw(st.lists(st.sampled_from(FIELDS), max_size=5, unique=True))
        fields = tuple(replace(draw(plain_fields() | linked_fields(names)), name=key) for key in keys)
        plain = [
            field.name for field in fields if field.kind is FieldKind.TEXT and field.secrecy is Secrecy.NONE
        ]
        found.append(
            Entity(
                name=name, fields=fields, path=path_of(name), unique_together=(tuple(plain),) if plain else ()
            )
        )
    return tuple(found)


def type_of(field: Field) -> str:
    if field.kind is FieldKind.ENUM:
        return f"enum({', '.join(field.values)})"
    if field.kind is FieldKind.DECIMAL:
        return f"decimal({field.precision},{field.scale})"
    if field.kind is FieldKind.LIST and field.item is not None:
        return f"list {type_of(field.item)}"
    if field.target is not None:
        return f"many {field.target}" if field.kind is FieldKind.MANY else field.target
    return (
        f"{field.kind.value}({field.minimum}..{field.maximum})"
        if field.maximum is not None
        else field.kind.value
    )


def short_form(field: Field) -> str:
    """The field as a user would write it."""
    options = [name for name in ("unique", "indexed", "readonly") if getattr(field, name)]
    secret = {Secrecy.HASHED: ["secret"], Secrecy.ENCRYPTED: ["secret(encrypted)"]}.get(field.secrecy, [])
    gone = [] if field.on_delete is OnDelete.REFUSE else [field.on_delete.value]
    default = []
    if field.has_default:
        default = ["=", str(field.default).lower() if isinstance(field.default, bool) else str(field.default)]
    return " ".join([type_of(field) + "?" * field.optional, *options, *secret, *gone, *default])


def written(found: tuple[Entity, ...], *, flow: bool) -> str:
    """The entities as YAML, in block style with bare values or in flow style with quotes."""
    if flow:
        tree = {
            entity.name: {
                **{field.name: short_form(field) for field in entity.fields},
                **({"_unique": entity.unique_together} if entity.unique_together else {}),
            }
            for entity in found
        }
        return f"entities: {json.dumps(tree)}\n"
    lines = ["entities:"]
    for entity in found:
        lines.append(f"  {entity.name}:{'' if entity.fields else ' {}'}")
        lines += [f"    {field.name}: {short_form(field)}" for field in entity.fields]
        lines += [f"    _unique: {json.dumps([list(group)])}" for group in entity.unique_together]
    return "\n".join(lines) + "\n"


@settings(max_examples=150)
@given(entities(), st.booleans())
def test_entities_are_read_back_as_they_were_written(made: tuple[Entity, ...], flow: bool):
    found = read(f"project: {{name: T}}\n{written(made, flow=flow)}".encode())
    assert found.blueprint is not None, found.problems
    bare = tuple(
        replace(entity, line=0, fields=tuple(replace(field, line=0) for field in entity.fields))
        for entity in found.blueprint.entities
    )
    assert bare == made
    assert len(found.blueprint.nodes) == 1 + sum(
        max(1, len(entity.fields) + sum(map(len, entity.unique_together))) for entity in made
    )


GRANTS = st.lists(
    st.builds(Grant, verb=st.sampled_from(["read", "write", "own"]), entity=st.just("Order Line")),
    max_size=3,
    unique=True,
)


@given(st.dictionaries(st.sampled_from(["admin", "clerk", "Guest_2", "x-y"]), GRANTS, max_size=3))
def test_roles_are_read_back_as_they_were_written(made: dict[str, list[Grant]]):
    tree = {name: [f"{grant.verb} {grant.entity}" for grant in grants] for name, grants in made.items()}
    text = f"project: {{name: T}}\nentities: {{Order Line: {{a: text}}}}\nroles: {json.dumps(tree)}\n"
    found = read(text.encode()).blueprint
    assert found is not None
    assert [replace(role, line=0) for role in found.roles] == [
        Role(name=name, grants=tuple(grants)) for name, grants in made.items()
    ]


@given(st.dictionaries(st.sampled_from(WORDS), st.lists(st.sampled_from(WORDS), unique=True), max_size=4))
def test_transitions_are_read_back_as_they_were_written(made: dict[str, list[str]]):
    field = f"enum({', '.join(WORDS)}) = {WORDS[1]}"
    text = f"project: {{name: T}}\nentities: {{A: {{s: '{field}'}}}}\nstates: {json.dumps({'A.s': made})}\n"
    found = read(text.encode()).blueprint
    assert found is not None
    transitions = {state: tuple(following) for state, following in made.items()}
    assert replace(found.states[0], line=0) == StateMachine(
        entity="A", field="s", initial=WORDS[1], transitions=transitions
    )
