"""Entities, states, roles, endpoints, views, requirements, acceptance and what shapes the build."""

from __future__ import annotations

import pytest

from factory_core.contracts.blueprint import CrudCall, Grant, PhaseOrder
from factory_core.specs.constraints import seconds_of
from factory_core.specs.names import path_of, slug_of

TYPED = """
    requirements: [{R-1: One.}, {R-2: Two.}]
    entities:
      Board: {title: text}
      Card:
        board: Board
        title: text
        status: enum(todo, doing, done) = todo
        due: date?
        note: text?
    roles: {admin: all, viewer: [read]}
"""


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("Card", "/cards"),
        ("OrderLine", "/order-lines"),
        ("order_line", "/order-lines"),
        ("Order Line", "/order-lines"),
        ("HTTPServer", "/http-servers"),
        ("users", "/users"),
        ("analytics", "/analytics"),
        ("Category", "/categories"),
        ("Day", "/days"),
        ("Class", "/classes"),
        ("Box", "/boxes"),
        ("Status", "/statuses"),
        ("Analysis", "/analyses"),
        ("Person", "/people"),
        ("people", "/people"),
        ("Sales Person", "/sales-people"),
        ("Metadata", "/metadata"),
        ("Shelf", "/shelves"),
        ("A", "/as"),
    ],
)
def test_a_path_is_kebab_case_with_the_last_word_in_the_plural(name: str, path: str):
    assert path_of(name) == path


def test_a_slug_is_ascii_kebab_case():
    assert slug_of("Crème & Brûlée 2") == "creme-brulee-2"
    assert slug_of("../x") == "x"


@pytest.mark.parametrize(
    ("entities", "problem"),
    [
        ("{OrderLine: {a: text}, order_line: {a: text}}", "same-name"),
        ("{Card: {dueDate: date, due_date: date}}", "same-name"),
        ("{Card: {id: uuid}}", "shadowed"),
        ("{Card: {createdAt: datetime}}", "shadowed"),
        ("{Card: {updated_at: datetime}}", "shadowed"),
        ("{Doc: {a: text}}", "reserved-path"),
        ("{Card: {a: text}, cards: {a: text}}", "same-path"),
        ("{Card: {a: text, _path: /docs}}", "reserved-path"),
        ("{Card: {a: text, _path: ../x}}", "path"),
        ("{Card: {a: text, _unique: [[b]]}}", "unknown-name"),
        ("{Card: {a: list text, _unique: [[a]]}}", "unique"),
        ("{Card: text}", "shape"),
        ("{Card: {a: [text]}}", "type"),
        ("{Card: {a: }}", "type"),
        ("[Card]", "shape"),
    ],
)
def test_an_entity_that_cannot_be_is_an_error(complaints, entities: str, problem: str):
    assert complaints(f"entities: {entities}\n") == [f"1:{problem}"]


def test_entity_options_are_read(blueprint):
    found = blueprint(
        """
        requirements: [{R-1: One.}, {R-2: Two.}]
        entities:
          Card:
            _path: /pinboard
            _unique: [[board, title], [title, due]]
            _description: A thing to do.
            _requirement: [R-1, R-2]
            _owner: title
            board: Card?
            title: text
            due: date?
          Label:
            requirement: R-1
            name: text
          Letter:
            requirement: text
        """
    )
    card = found.entity("Card")
    assert (card.path, card.unique_together) == ("/pinboard", (("board", "title"), ("title", "due")))
    assert (card.description, card.requirements, card.owner) == ("A thing to do.", ("R-1", "R-2"), "title")
    assert found.entity("Label").requirements == ("R-1",)
    assert [field.name for field in found.entity("Letter").fields] == ["requirement"]
    assert all(node.part for node in found.nodes)


def test_an_unknown_option_is_a_warning_and_not_understood(reading):
    found = reading("project: {name: T}\nentities: {Card: {a: text, _uniq: [[a]]}}\n")
    assert found.blueprint is not None
    assert [(problem.code, problem.suggestion) for problem in found.problems] == [
        ("unknown-key", "Did you mean _unique?")
    ]


def test_a_query_word_as_a_field_is_a_warning(reading):
    found = reading("project: {name: T}\nentities: {Card: {limit: int, a: text}}\n")
    assert found.blueprint is not None
    assert [problem.code for problem in found.problems] == ["query-word"]


@pytest.mark.parametrize(
    ("states", "problem"),
    [
        ("{Card.status: {todo: [doing]}}", None),
        ("{Card.status: {todo: doing}}", None),
        ("{Card.status: {todo: [dong]}}", "Did you mean doing?"),
        ("{Card.status: {tood: [doing]}}", "Did you mean todo?"),
        ("{Card.state: {todo: []}}", "Did you mean status?"),
        ("{Crad.status: {todo: []}}", "Did you mean Card.status?"),
        ("{Card.title: {a: []}}", "enum(open, closed)"),
        ("{Board.mood: {good: []}}", "Add to the field: = good"),
    ],
)
def test_states_use_the_words_of_an_enum_with_a_default(reading, states: str, problem: str | None):
    text = (
        "project: {name: T}\nentities:\n  Board:\n    mood: enum(good, bad)\n  Card:\n    title: text\n"
        f"    status: enum(todo, doing, done) = todo\nstates: {states}\n"
    )
    found = reading(text)
    if problem is None:
        assert found.blueprint is not None
        (machine,) = found.blueprint.states
        assert (machine.initial, machine.transitions) == ("todo", {"todo": ("doing",)})
    else:
        assert [one.suggestion for one in found.problems] == [problem] or problem in found.problems[
            0
        ].suggestion


def test_roles_hold_rights(blueprint):
    found = blueprint(
        """
        entities: {Card: {title: text}, Order Line: {title: text}}
        roles:
          boss: all
          clerk: [read, write Order Line, own Card]
        """
    )
    assert [role.name for role in found.roles] == ["boss", "clerk"]
    assert found.roles[1].grants == (
        Grant(verb="read"),
        Grant(verb="write", entity="Order Line"),
        Grant(verb="own", entity="Card"),
    )
    assert found.default_role() == "boss"


@pytest.mark.parametrize(
    "roles",
    ["[roles: admin, user, viewer]", "[admin, user, viewer]"],
)
def test_a_bare_list_of_roles_is_assumed(blueprint, roles: str):
    found = blueprint(f"roles: {roles}\n") if roles[1] == "a" else blueprint(f"auth: {{rbac: {roles}}}\n")
    assert [(role.name, [grant.verb for grant in role.grants]) for role in found.roles] == [
        ("admin", ["all"]),
        ("user", ["read", "write"]),
        ("viewer", ["read"]),
    ]
    assert len(found.assumptions) == 3


@pytest.mark.parametrize(
    ("roles", "problem"),
    [
        ("{admin: everything}", "grant"),
        ("{admin: [own]}", "grant"),
        ("{admin: [all Card]}", "grant"),
        ("{admin: [write Crad]}", "unknown-name"),
        ("{nobody: all}", "name"),
        ("{a b: all}", "name"),
        ("{Admin: all, admin: all}", "same-name"),
    ],
)
def test_a_wrong_role_is_an_error(complaints, roles: str, problem: str):
    assert complaints(f"roles: {roles}\nentities: {{Card: {{title: text}}}}\n") == [f"1:{problem}"]


@pytest.mark.parametrize(
    ("endpoint", "call"),
    [
        ("POST /cards/{id}/finish: {sets: {Card.status: done}}", CrudCall.ACTION),
        ("POST /cards/{id}/finish: {sets: {status: done, due: today}, roles: [viewer], requirement: R-1}", CrudCall.ACTION),
        ("POST /cards/{card_id}/note: {sets: {note: $body.words}, body: {words: text(1..9)}}", CrudCall.ACTION),
        ("POST /boards/{id}/cards: {creates: {Card: {board: $id, title: $body.t}}, body: {t: text}}", CrudCall.ACTION),
        ("POST /boards/quick: {creates: Board, body: {title: text}, returns: Board}", CrudCall.ACTION),
        ("GET /cards/{id}/short: {returns: Card}", CrudCall.ACTION),
        ("GET /cards: {roles: [admin]}", CrudCall.LIST),
        ("PATCH /cards/{id}: {requirement: R-1}", CrudCall.UPDATE),
        ("DELETE /cards/{id}: {roles: [admin]}", CrudCall.DELETE),
        ("GET /cards/{id}/board: {returns: Board}", CrudCall.STUB),
        ("GET /cards/open: {returns: Card}", CrudCall.STUB),
        ("POST /cards/{id}/mail: {}", CrudCall.STUB),
        ("POST /cards/finish: {sets: {status: done}}", CrudCall.STUB),
        ("POST /cards/{id}/move/{to}: {sets: {status: done}}", CrudCall.STUB),
        ("GET /weather: {roles: [viewer]}", CrudCall.STUB),
        ("POST /cards/{id}/send:", CrudCall.STUB),
    ],
)  # fmt: skip
def test_an_endpoint_is_generated_only_when_all_of_it_is_understood(blueprint, endpoint: str, call: CrudCall):
    found = blueprint(f"{TYPED}\n    endpoints:\n      {endpoint}\n")
    (one,) = found.endpoints
    assert one.call is call
    assert "{card_id}" not in one.path
    assert all(node.part for node in found.nodes)


def test_an_endpoint_with_a_wish_nobody_knows_is_a_stub(reading):
    text = "project: {name: T}\nentities: {Card: {done: bool = false}}\nendpoints:\n"
    found = reading(f"{text}  POST /cards/{{id}}/finish: {{sets: {{done: true}}, sends: mail}}\n")
    assert found.blueprint is not None
    assert found.blueprint.endpoints[0].call is CrudCall.STUB
    assert [problem.code for problem in found.problems] == ["unknown-key"]
    assert [node.path for node in found.blueprint.nodes if not node.part] == [
        "endpoints.POST /cards/{id}/finish.sends"
    ]


def test_the_parts_of_an_action_arrive(blueprint):
    found = blueprint(
        f"{TYPED}\n    endpoints:\n      POST /boards/{{id}}/cards:\n"
        "        creates: {Card: {board: $id, title: $body.title, status: doing}}\n"
        "        body: {title: text(1..80)}\n        roles: admin\n        requirement: [R-1, R-2]\n        returns: Card\n"
    )
    (one,) = found.endpoints
    assert (one.method, one.path, one.entity, one.creates) == ("POST", "/boards/{id}/cards", "Board", "Card")
    assert one.creates_values == {"board": "$id", "title": "$body.title", "status": "doing"}
    assert [(field.name, field.maximum) for field in one.body] == [("title", 80)]
    assert (one.roles, one.requirements, one.returns) == (("admin",), ("R-1", "R-2"), "Card")


@pytest.mark.parametrize(
    ("endpoint", "problem"),
    [
        ("PUT /cards/{id}: {}", "endpoint"),
        ("finish the card: {}", "endpoint"),
        ("POST /cards/../x: {}", "endpoint"),
        ("GET /docs/x: {}", "reserved-path"),
        ("POST /cards/{id}/x: {sets: {Board.title: a}}", "sets"),
        ("POST /cards/{id}/x: {sets: {statsu: done}}", "unknown-name"),
        ("POST /cards/{id}/x: {sets: {status: dnoe}}", "value"),
        ("POST /cards/{id}/x: {sets: {title: null}}", "value"),
        ("POST /cards/{id}/x: {sets: {note: $body.words}}", "unknown-name"),
        ("POST /cards/{id}/x: {sets: {due: now}}", "value"),
        ("POST /boards/{id}/x: {creates: {Card: {board: $id}}}", "creates"),
        ("POST /boards/{id}/x: {creates: Crad}", "unknown-name"),
        ("POST /cards/{id}/x: {sets: {status: done}, roles: [amdin]}", "unknown-name"),
        ("POST /cards/{id}/x: {sets: {status: done}, requirement: R-9}", "unknown-name"),
    ],
)
def test_a_wrong_endpoint_is_an_error(reading, endpoint: str, problem: str):
    text = f"project: {{name: T}}{TYPED}    endpoints:\n      {endpoint}\n".replace("\n    ", "\n")
    assert [one.code for one in reading(text).errors] == [problem]


def test_an_endpoint_stands_once(complaints):
    text = "endpoints:\n  POST /a/{id}: {}\n  POST /a/{b}: {}\n"
    assert complaints(text) == ["3:duplicate-endpoint"]


def test_views_name_fields(blueprint, complaints):
    found = blueprint(
        f"{TYPED}\n    views:\n      All: {{lists: Card, group_by: status, sort: [-due, title],"
        " columns: [title, created_at], form: [title], filter: {due_gte: 2026-01-01, note: null}, requirement: R-1}\n"
    )
    (view,) = found.views
    assert (view.lists, view.group_by, view.sort) == ("Card", "status", ("-due", "title"))
    assert (view.columns, view.form) == (("title", "created_at"), ("title",))
    assert view.filter == {"due_gte": "2026-01-01", "note": None}
    card = "entities: {Card: {title: text}}\nviews:\n"
    assert complaints(f"{card}  ../x: {{lists: Card}}\n") == ["3:name"]
    assert complaints(f"{card}  All: {{lists: Card, columns: [titel]}}\n") == ["3:unknown-name"]
    assert complaints(f"{card}  All: {{columns: [title]}}\n") == ["3:view"]
    assert complaints(f"{card}  All: {{lists: Card, filter: {{title_like: x}}}}\n") == ["3:unknown-name"]


def test_requirements_get_ids_that_white_space_does_not_change(blueprint):
    one = blueprint("requirements:\n  - A card   has a board.\n  - 'Note: cards have titles.'\n")
    two = blueprint("requirements:\n  - Something new.\n  - |\n    A card has\n    a board.\n")
    assert one.requirements[0].id == two.requirements[1].id == "R-a6473817"
    assert one.requirements[1].text == "Note: cards have titles."


def test_a_sentence_with_a_colon_is_a_sentence(blueprint):
    (found,) = blueprint("requirements:\n  - Speed matters: pages are quick.\n").requirements
    assert found.text == "Speed matters: pages are quick."


@pytest.mark.parametrize(
    ("requirements", "problem"),
    [
        ("[{R-1: A.}, {R-1: B.}]", "same-requirement"),
        ("[{R-1: {by: [Card]}}]", "requirement"),
        ("[{R-1: {text: A., by: [Crad]}}]", "unknown-name"),
        ("[{R-1: [a]}]", "shape"),
        ("[[a]]", "shape"),
    ],
)
def test_a_wrong_requirement_is_an_error(complaints, requirements: str, problem: str):
    assert complaints(f"requirements: {requirements}\nentities: {{Card: {{title: text}}}}\n") == [
        f"1:{problem}"
    ]


def test_a_requirement_may_be_done_by_anything_of_the_product(blueprint):
    found = blueprint(
        """
        entities: {Card: {title: text}}
        views: {All cards: {lists: Card}}
        requirements:
          R-1: {text: A., by: [Card, Card.title, POST /cards, "GET /cards/{id}", All cards]}
        """
    )
    assert len(found.requirements[0].by) == 5


def test_a_step_says_all_it_says(blueprint):
    found = blueprint(
        """
        roles: {admin: all, viewer: read}
        entities: {Card: {title: text}}
        acceptance:
          - name: everything
            steps:
              - {post: /cards, body: {title: $$5, n: 1.5, d: 2026-01-01, z: null}, save: card}
              - get: /cards/$card.id
                as: nobody
                expect: {status: 401, body: {items: [any]}, count: 0, header: {WWW-Authenticate: Bearer}, absent: [pin]}
              - {delete: /cards/$card.items.0.id, as: viewer, expect: 403}
        """
    )
    first, second, third = found.acceptance[0].steps
    assert (first.method, first.path, first.save, first.status, first.role) == (
        "POST",
        "/cards",
        "card",
        None,
        None,
    )
    assert first.body == {"title": "$$5", "n": 1.5, "d": "2026-01-01", "z": None}
    assert (second.status, second.count, second.headers) == (401, 0, {"WWW-Authenticate": "Bearer"})
    assert (second.expect_body, second.absent, second.role) == ({"items": ["any"]}, ("pin",), "nobody")
    assert (third.role, third.status, third.line) == ("viewer", 403, 11)
    assert all(node.part for node in found.nodes)


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ("{put: /cards}", "step"),
        ("{get: /a, post: /b}", "step"),
        ("{get: cards}", "step"),
        ("{get: /cards/$crad.id}", "unknown-name"),
        ("{post: /cards, body: {a: [$x]}}", "unknown-name"),
        ("{get: /cards, expect: ok}", "expect"),
        ("{get: /cards, expect: {count: many}}", "expect"),
        ("{get: /cards, expect: 999}", "expect"),
        ("{get: /cards, as: amdin}", "unknown-name"),
        ("{get: /cards, save: $x}", "step"),
    ],
)
def test_a_wrong_step_is_an_error(reading, step: str, problem: str):
    text = "project: {name: T}\nroles: {admin: all}\nacceptance:\n  - name: a\n    steps:\n"
    first = "      - {get: /x, save: card}\n"
    found = reading(f"{text}{first}      - {step}\n")
    assert [one.code for one in found.errors] == [problem]
    assert found.errors[0].line == 7


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        ("{get: /card}", "Did you mean /cards?"),
        ("{get: /card?x=1}", "Did you mean /cards?"),
        ("{get: /card, expect: 404}", None),
        ("{get: /cards/1, expect: 404}", None),
        ("{get: /weather/today}", None),
        ("{get: /health}", None),
    ],
)
def test_a_call_that_nothing_answers_is_a_warning(reading, call: str, hint: str | None):
    text = "project: {name: T}\nentities: {Card: {title: text}}\nendpoints: {GET /weather: {}}\nacceptance:\n"
    found = reading(f"{text}  - {{name: a, steps: [{call}]}}\n")
    assert found.blueprint is not None
    assert [problem.suggestion for problem in found.problems] == ([hint] if hint else [])


def test_signing_in_without_roles_is_an_error(complaints):
    text = "acceptance:\n  - {name: a, steps: [{get: /x, as: admin}]}\n"
    assert complaints(text) == ["2:as"]


def test_without_a_role_that_may_do_all_every_step_names_one(complaints):
    text = "roles: {viewer: read}\nacceptance:\n  - {name: a, steps: [{get: /x}, {get: /x, as: viewer}]}\n"
    assert complaints(text) == ["3:as"]


def test_cases_have_names_of_their_own(complaints, blueprint):
    twice = "acceptance:\n  - {name: a, steps: [{get: /x}]}\n  - {name: a, steps: [{get: /x}]}\n"
    assert complaints(twice) == ["3:same-name"]
    assert complaints("acceptance:\n  - {name: a, steps: []}\n") == ["2:case"]
    found = blueprint("acceptance:\n  - {steps: [{get: /x}]}\n")
    assert found.acceptance[0].name == "case 1"
    assert found.assumptions


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10 minutes", 600),
        ("4 hours", 14_400),
        ("90s", 90),
        ("1h 30m", 5_400),
        ("1 hour 30 minutes", 5_400),
        ("1.5 hours", 5_400),
        ("1 day", 86_400),
        ("10", None),
        ("soon", None),
        ("0 minutes", None),
        ("", None),
        ("5 minutes or so", None),
    ],
)
def test_a_duration_is_read(text: str, seconds: int | None):
    assert seconds_of(text) == seconds


def test_constraints_are_read(blueprint):
    found = blueprint(
        'constraints: {max_agents: 7, max_build_time: 1 hour, min_test_coverage: 85%, target_loc: "1,500-2000",'
        ' security_audit: mandatory, budget: "$5", house_style: brief}\n'
    )
    limits = found.constraints
    assert (limits.max_agents, limits.max_build_seconds, limits.min_test_coverage) == (7, 3600, 85)
    assert (limits.target_loc, limits.security_audit) == ((1500, 2000), True)
    assert limits.budget_nano_usd == 5_000_000_000
    assert [node.path for node in found.nodes if not node.part] == ["constraints.house_style"]


@pytest.mark.parametrize(
    "constraint",
    ["max_agents: 0", "max_agents: many", "max_build_time: 10", "min_test_coverage: 101", "target_loc: 9-1"],
)
def test_a_constraint_that_cannot_hold_is_an_error(complaints, constraint: str):
    assert complaints(f"constraints: {{{constraint}}}\n") == ["1:constraint"]


def test_phases_have_tasks_and_windows(blueprint):
    found = blueprint(
        """
        phases:
          first:               # 0-30 minutes
            parallel: [a: [], b: []]
          second:              # 1-2 hours
            sequential:
              - c: [first]
              - d
            blocking: false
          third: [e]
        """
    )
    first, second, third = found.phases
    assert (first.order, first.window_minutes, first.blocking) == (PhaseOrder.PARALLEL, (0, 30), True)
    assert (second.order, second.window_minutes, second.blocking) == (PhaseOrder.SEQUENTIAL, (60, 120), False)
    assert [(task.name, task.after) for task in second.tasks] == [("c", ("first",)), ("d", ())]
    assert [task.name for task in third.tasks] == ["e"]
    assert all(node.part for node in found.nodes)


@pytest.mark.parametrize(
    ("phases", "problem"),
    [
        ("{one: {parallel: [a: [b], b: [a]]}}", "circle"),
        ("{one: {parallel: [a: [one]]}}", "circle"),
        ("{one: {parallel: [a: [two]]}, two: {parallel: [b: []]}}", "circle"),
        ("{one: {sequential: [a: [b], b: []]}}", "circle"),
        ("{one: {parallel: [a: [bb]]}}", "unknown-name"),
        ("{one: {parallel: [a], sequential: [b]}}", "phase"),
    ],
)
def test_phases_that_cannot_start_are_an_error(complaints, phases: str, problem: str):
    assert complaints(f"phases: {phases}\n") == [f"1:{problem}"]


def test_comments_about_agents_are_hints_where_they_stand(blueprint):
    found = blueprint(
        """
        # Triggers 40% of agents
        frontend:                         # spawns a hierarchical team
          teams:
            - pages:                      # 15-20 agents
                views: ["a # 3 agents", b]  # 3 agents
            - plain                       # Spawns 4 validator agents
          # 7-9 integration agents

        entities:
          Agency: {name: text}            # 5 agents work here: data, no hint
        """
    )
    hints = {hint.path: (hint.low, hint.high, hint.percent) for hint in found.hints.agents}
    assert hints == {
        "frontend": (None, None, 40),
        "frontend#2": (None, None, None),
        "frontend.teams[0].pages": (15, 20, None),
        "frontend.teams[0].pages.views": (3, 3, None),
        "frontend.teams[1]#2": (4, 4, None),
        "frontend.teams[1]#3": (7, 9, None),
    }
    paths = [node.path for node in found.nodes]
    assert len(paths) == len(set(paths))
    assert [node.path for node in found.nodes if node.part == "hint"] == list(hints)


def test_agent_hints_are_read(blueprint):
    found = blueprint(
        """
        meta: {paradigm: swarm, orchestration_style: aggressive}
        agent_hints:
          resource_allocation: {frontend: 35%, backend: 30}   # ~70 agents
          preferred_agents: ["analyzer: deep", {builder: quick}]
          spawn_threshold_overrides: {builder: 0.5, tester: 1}
        special_instructions: {orchestration_style: [Start with swarm, Finish with hybrid]}
        """
    )
    hints = found.hints
    assert [(share.name, share.percent) for share in hints.shares] == [("frontend", 35), ("backend", 30)]
    assert hints.preferred_agents == {"analyzer": "deep", "builder": "quick"}
    assert hints.spawn_thresholds == {"builder": 0.5, "tester": 1.0}
    assert (hints.paradigm, hints.style) == ("swarm", "aggressive")
    assert hints.orchestration == ("Start with swarm", "Finish with hybrid")
    assert [(hint.low, hint.text) for hint in hints.agents] == [(None, "~70 agents")]


def test_the_seed_names_endpoints_in_its_own_way(blueprint):
    found = blueprint(
        """
        services:
          - clip_service:
              endpoints:
                - POST_create_clip: {validation: [length]}
                - GET_list_clips
                - GET_clip_details: []
                - GET_clip_logs: [sse]
                - GET_download_artifact: [zip]
                - DELETE_cancel_clip: [cleanup]
                - POST_create_song: []
                - POST /clips/{id}/publish: {sets: {title: x}}
                - version_control: [save]
          - channel_service: {endpoints: [CRUD_operations: [create, list]]}
        database: {tables: {clips: [id, title], channel: [name]}}
        """
    )
    assert [(one.method, one.path, one.call.value, one.name) for one in found.endpoints] == [
        ("POST", "/clips", "create", "POST_create_clip"),
        ("GET", "/clips", "list", "GET_list_clips"),
        ("GET", "/clips/{id}", "details", "GET_clip_details"),
        ("GET", "/clips/{id}/logs", "stub", "GET_clip_logs"),
        ("GET", "/builds/{id}/artifact", "stub", "GET_download_artifact"),
        ("POST", "/clips/{id}/cancel", "stub", "DELETE_cancel_clip"),
        ("POST", "/songs", "stub", "POST_create_song"),
        ("POST", "/clips/{id}/publish", "action", ""),
        ("POST", "/channels", "create", "CRUD_operations"),
        ("GET", "/channels", "list", "CRUD_operations"),
    ]
    lost = [node.path.rpartition(".")[2] for node in found.nodes if not node.part]
    assert lost == [
        "validation[0]",
        "GET_clip_logs[0]",
        "GET_download_artifact[0]",
        "DELETE_cancel_clip[0]",
        "version_control[0]",
    ]


def test_a_field_called_tables_is_a_field(blueprint):
    found = blueprint("entities: {Restaurant: {tables: int, technology: text, endpoints: text}}\n")
    assert [entity.name for entity in found.entities] == ["Restaurant"]
    assert found.technology == {}


def test_what_shapes_the_build_is_read(blueprint):
    found = blueprint(
        """
        team: {technology: [react: "18+", docker]}
        technology: {python: "3.11+", react: "18+"}
        deliverables:
          docs: [README.md: How to run it, {env: [.env.example with all variables, LICENSE]}]
          code: [files: ~200 files]
        success_metrics: {speed: ["Pages are quick"], tests: [unit]}
        quality_requirements: {code: [linting: "No warnings"]}
        do_not_build: [A chat]
        reference_implementations: {similar: [Some board], examples: {socket: {language: typescript}}}
        """
    )
    assert found.technology == {"python": "3.11+", "react": "18+", "docker": ""}
    assert found.deliverables == ("README.md", ".env.example", "LICENSE")
    assert found.do_not_build == ("A chat",)
    assert found.references == ("Some board", "language: typescript")
    assert {requirement.text for requirement in found.requirements} == {
        "Pages are quick",
        "tests: unit",
        "linting: No warnings",
        "README.md: How to run it",
        ".env.example with all variables",
        "env: LICENSE",
        "files: ~200 files",
    }
    assert all(node.part for node in found.nodes)
