from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_core.contracts.blueprint import (
    Blueprint,
    CrudCall,
    Endpoint,
    Entity,
    Field,
    FieldKind,
    Grant,
    Project,
    Role,
    Rule,
    StateMachine,
)
from factory_core.contracts.expressions import Literal
from factory_core.planning import PlanError, narrow

replace = msgspec.structs.replace


def reference(name: str, target: str, kind: FieldKind = FieldKind.REFERENCE) -> Field:
    return Field(name=name, kind=kind, target=target, line=3)


def test_the_project_scope_reads_everything(taskboard: Blueprint) -> None:
    assert narrow(taskboard, "project") is taskboard


def test_an_entity_is_read_with_its_neighbours_on_both_sides(taskboard: Blueprint) -> None:
    assert [entity.name for entity in narrow(taskboard, "entity:Card").entities] == ["Board", "Card", "Label"]
    assert [entity.name for entity in narrow(taskboard, "entity:Board").entities] == ["Board", "Card"]


def test_what_a_neighbour_refers_to_comes_along_however_far(taskboard: Blueprint) -> None:
    chain = tuple(
        Entity(name=f"E{n}", path=f"/e{n}", fields=(reference("next", f"E{n + 1}"),) if n < 4 else ())
        for n in range(5)
    )
    blueprint = replace(taskboard, entities=chain)
    assert [entity.name for entity in narrow(blueprint, "entity:E1").entities] == [
        "E0",
        "E1",
        "E2",
        "E3",
        "E4",
    ]
    assert [entity.name for entity in narrow(blueprint, "entity:E3").entities] == ["E2", "E3", "E4"]


def test_states_and_rules_come_with_every_entity_in_sight(taskboard: Blueprint) -> None:
    rules = tuple(
        Rule(entity=name, check=Literal(value=True), text="true", message="", line=5)
        for name in ("Board", "Card", "Label")
    )
    machine = StateMachine(entity="Card", field="status", initial="a", transitions={"a": ()}, line=6)
    seen = narrow(replace(taskboard, rules=rules, states=(machine,)), "entity:Board")
    assert [(rule.entity, rule.line) for rule in seen.rules] == [("Board", 0), ("Card", 0)]
    assert [(state.entity, state.line) for state in seen.states] == [("Card", 0)]


def test_a_list_of_rows_beyond_the_neighbours_reads_as_plain_ids(taskboard: Blueprint) -> None:
    card = narrow(taskboard, "entity:Board").entity("Card")
    labels = card.field("labels")
    assert labels.kind is FieldKind.LIST
    assert labels.item is not None
    assert labels.item.kind is FieldKind.UUID
    assert card.field("board").target == "Board"


def test_endpoints_views_and_requirements_come_with_their_entity(taskboard: Blueprint) -> None:
    card, board = narrow(taskboard, "entity:Card"), narrow(taskboard, "entity:Board")
    assert len(card.endpoints) == 2
    assert len(card.views) == 1
    assert [item.id for item in card.requirements] == ["R-1", "R-2"]
    assert (board.endpoints, board.views, board.requirements) == ((), (), ())


def test_what_an_endpoint_creates_belongs_to_the_neighbours(taskboard: Blueprint) -> None:
    audit = Entity(name="Audit", path="/audits", fields=())
    creating = Endpoint(
        method="POST", path="/cards/{id}/log", call=CrudCall.ACTION, entity="Card", creates="Audit"
    )
    blueprint = replace(taskboard, entities=(*taskboard.entities, audit), endpoints=(creating,))
    assert "Audit" in {entity.name for entity in narrow(blueprint, "entity:Card").entities}


def test_grants_on_entities_out_of_sight_are_left_out(taskboard: Blueprint) -> None:
    role = Role(name="member", grants=(Grant(verb="read"), Grant(verb="write", entity="Label")))
    assert narrow(replace(taskboard, roles=(role,)), "entity:Board").roles[0].grants == (Grant(verb="read"),)


def test_moving_a_section_or_changing_another_entity_changes_nothing(taskboard: Blueprint) -> None:
    moved = replace(
        taskboard,
        entities=tuple(
            replace(
                entity, line=entity.line + 9, fields=tuple(replace(f, line=f.line + 9) for f in entity.fields)
            )
            for entity in taskboard.entities
        ),
        project=replace(taskboard.project, line=40),
    )
    assert narrow(moved, "entity:Card") == narrow(taskboard, "entity:Card")
    label = replace(taskboard.entity("Label"), fields=())
    changed = replace(taskboard, entities=(*taskboard.entities[:2], label))
    assert narrow(changed, "entity:Board") == narrow(taskboard, "entity:Board")
    assert narrow(changed, "entity:Card") != narrow(taskboard, "entity:Card"), "a neighbour does change it"


@pytest.mark.parametrize("scope", ["entity:Ghost", "Card", "", "entity:"])
def test_a_scope_that_names_nothing_is_refused(taskboard: Blueprint, scope: str) -> None:
    with pytest.raises(PlanError, match="neither project nor an entity"):
        narrow(taskboard, scope)


@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(0, 5), st.sampled_from([FieldKind.REFERENCE, FieldKind.MANY])), max_size=4
        ),
        min_size=6,
        max_size=6,
    ),
    st.integers(0, 5),
)
def test_every_name_in_a_narrowed_blueprint_is_found_in_it(
    targets: list[list[tuple[int, FieldKind]]], chosen: int
) -> None:
    entities = tuple(
        Entity(
            name=f"E{n}",
            path=f"/e{n}",
            fields=tuple(reference(f"f{m}", f"E{to}", kind) for m, (to, kind) in enumerate(fields)),
        )
        for n, fields in enumerate(targets)
    )
    blueprint = Blueprint(project=Project(name="P", slug="p"), entities=entities)
    seen = narrow(blueprint, f"entity:E{chosen}")
    known = {entity.name for entity in seen.entities}
    assert all(field.target in known | {None} for entity in seen.entities for field in entity.fields)
    own = seen.entity(f"E{chosen}").fields
    assert [replace(field, line=3) for field in own] == list(entities[chosen].fields)
    assert narrow(seen, f"entity:E{chosen}") == seen
