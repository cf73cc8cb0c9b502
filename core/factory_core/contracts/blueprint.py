"""The specification as typed data. Every step after the reader works on a blueprint, never on the text.

Nodes keep the 1-based line they came from, so every error and every row of the report can point at it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct

from factory_core.contracts.acceptance import AcceptanceCase, Requirement, RequirementState, Step
from factory_core.contracts.expressions import Expression
from factory_core.contracts.hints import AgentHint, Hints, TeamHint
from factory_core.contracts.phases import Phase, PhaseOrder, PhaseTask

__all__ = [
    "AcceptanceCase",
    "AgentHint",
    "Assumption",
    "Blueprint",
    "Constraints",
    "CrudCall",
    "Endpoint",
    "Entity",
    "Field",
    "FieldKind",
    "Grant",
    "Hints",
    "Node",
    "NodeState",
    "OnDelete",
    "Phase",
    "PhaseOrder",
    "PhaseTask",
    "Project",
    "Requirement",
    "RequirementState",
    "Role",
    "Rule",
    "Secrecy",
    "StateMachine",
    "Step",
    "TeamHint",
    "View",
]


class FieldKind(StrEnum):
    """The types of spec_format, section "Fields". ``money`` is a decimal(19,2) and arrives here as DECIMAL."""

    TEXT = "text"
    INT = "int"
    FLOAT = "float"
    DECIMAL = "decimal"
    BOOL = "bool"
    DATE = "date"
    DATETIME = "datetime"
    TIME = "time"
    UUID = "uuid"
    EMAIL = "email"
    URL = "url"
    JSON = "json"
    ENUM = "enum"
    LIST = "list"
    REFERENCE = "reference"
    MANY = "many"


class OnDelete(StrEnum):
    """What a reference does when the row it names is deleted."""

    REFUSE = "refuse"
    CASCADE = "cascade"
    CLEAR = "clear"


class Secrecy(StrEnum):
    """How a value is kept from readers. HASHED and ENCRYPTED fields are write-only."""

    NONE = "none"
    HASHED = "hashed"
    ENCRYPTED = "encrypted"


class Field(Struct, frozen=True, kw_only=True):
    """One field of an entity, options resolved."""

    name: str
    """As the spec spells it; this is also the key in JSON."""
    kind: FieldKind
    optional: bool = False
    unique: bool = False
    indexed: bool = False
    readonly: bool = False
    secrecy: Secrecy = Secrecy.NONE
    minimum: int | None = None
    """Shortest length of text, smallest int."""
    maximum: int | None = None
    """Longest text, largest int."""
    precision: int | None = None
    scale: int | None = None
    money: bool = False
    values: tuple[str, ...] = ()
    """The words of an enum, in order."""
    item: Field | None = None
    """The element type of a list."""
    target: str | None = None
    """Name of the entity a reference or ``many`` points at."""
    on_delete: OnDelete = OnDelete.REFUSE
    has_default: bool = False
    default: str | int | float | bool | None = None
    """Decimal, date, datetime, time and uuid defaults as ISO text; ``now`` and ``today`` as those words; json and
    list defaults as JSON text."""
    description: str = ""
    requirements: tuple[str, ...] = ()
    line: int = 0


class Entity(Struct, frozen=True, kw_only=True):
    """Something the service stores. ``id``, ``created_at`` and ``updated_at`` are implied and never in ``fields``."""

    name: str
    fields: tuple[Field, ...]
    path: str
    """The collection's path, such as ``/order-lines``; kebab-case, last word pluralised, or the spec's ``_path``."""
    unique_together: tuple[tuple[str, ...], ...] = ()
    owner: str | None = None
    description: str = ""
    requirements: tuple[str, ...] = ()
    line: int = 0

    def field(self, name: str) -> Field:
        """The field of that name. Raises KeyError."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)


class StateMachine(Struct, frozen=True, kw_only=True):
    """The allowed transitions of one enum field; the initial state is the field's default."""

    entity: str
    field: str
    initial: str
    transitions: dict[str, tuple[str, ...]]
    requirements: tuple[str, ...] = ()
    line: int = 0


class Rule(Struct, frozen=True, kw_only=True):
    """An invariant of one row, checked on POST, PATCH and ``sets``; a violation answers 422 with ``message``."""

    entity: str
    check: Expression
    text: str
    message: str
    requirements: tuple[str, ...] = ()
    line: int = 0


class CrudCall(StrEnum):
    """What a declared endpoint turns out to be."""

    LIST = "list"
    CREATE = "create"
    DETAILS = "details"
    UPDATE = "update"
    DELETE = "delete"
    ACTION = "action"
    """Only sets, creates or returns on one entity: generated."""
    STUB = "stub"
    """Everything else: answers 501."""


class Endpoint(Struct, frozen=True, kw_only=True):
    """A declared endpoint. CRUD of the entities exists without being declared and is not repeated here, unless a
    declaration adds roles or a requirement to it."""

    method: str
    """GET, POST, PATCH or DELETE."""
    path: str
    """With the item's id as ``{id}``."""
    call: CrudCall
    entity: str | None = None
    name: str = ""
    """The spec's own name for it, such as ``POST_create_build``; empty when it was given as method and path."""
    sets: dict[str, Any] = {}
    """``field -> value`` on the row that ``{id}`` names (entity prefix already resolved)."""
    creates: str | None = None
    """Entity of which a row is created."""
    creates_values: dict[str, Any] = {}
    """``field -> value`` of the created row; ``$id`` is the row in the path, ``$body.x`` a body key."""
    returns: str | None = None
    body: tuple[Field, ...] = ()
    roles: tuple[str, ...] = ()
    description: str = ""
    requirements: tuple[str, ...] = ()
    line: int = 0


class View(Struct, frozen=True, kw_only=True):
    """A page of the generated front end."""

    name: str
    lists: str
    """The entity it shows."""
    group_by: str | None = None
    filter: dict[str, Any] = {}
    sort: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    form: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    line: int = 0


class Grant(Struct, frozen=True, kw_only=True):
    """``all``, ``read``, ``read Card``, ``write Card`` or ``own Card``. ``entity`` is None for "every entity"."""

    verb: str
    entity: str | None = None


class Role(Struct, frozen=True, kw_only=True):
    """Who may do what. The first role granted ``all`` is the default of acceptance steps."""

    name: str
    grants: tuple[Grant, ...]
    line: int = 0


class Constraints(Struct, frozen=True, kw_only=True):
    """Maxima are enforced, targets are reported with the gap."""

    max_agents: int = 200
    max_build_seconds: int | None = None
    min_test_coverage: int = 85
    target_loc: tuple[int, int] | None = None
    security_audit: bool = False
    budget_nano_usd: int | None = None
    optimization_rounds: int | None = None
    """How often what passed may be improved at most, where ``on_success`` asks for it; None: the spec does not say."""


class Project(Struct, frozen=True, kw_only=True):
    """The product that comes out."""

    name: str
    slug: str
    description: str = ""
    template: str = "neoforge"
    currency: str = "USD"
    line: int = 0


class NodeState(StrEnum):
    """How one node of the spec ends up in the report."""

    PROVEN = "proven"
    BUILT = "built"
    FAILED = "failed"
    STUBBED = "stubbed"
    APPLIED = "applied"
    NOT_UNDERSTOOD = "not understood"


class Node(Struct, frozen=True, kw_only=True):
    """A scalar leaf, an empty container or an agent hint of the spec. ``part`` names what the reader made of it, as in
    ``entity:Card``, ``field:Card.title``, ``endpoint:POST /cards/{id}/finish``, ``requirement:R-1``,
    ``case:a finished card stays finished``, ``hint``, ``constraint:max_agents``, ``project``; empty = not understood.
    Further: ``version``, ``states:Card.status``, ``rule:Card: estimate >= 0``, ``role:admin``, ``view:Board view``,
    ``behaviour:on_failure``, ``phase:phase_1_foundation``, ``technology:react``, ``reference``, ``do_not_build``."""

    path: str
    line: int
    part: str = ""


class Assumption(Struct, frozen=True, kw_only=True):
    """Something the reader filled in. Shown for confirmation and listed in the report."""

    text: str
    path: str = ""
    line: int = 0


class Blueprint(Struct, frozen=True, kw_only=True):
    """The whole specification."""

    project: Project
    entities: tuple[Entity, ...] = ()
    states: tuple[StateMachine, ...] = ()
    rules: tuple[Rule, ...] = ()
    roles: tuple[Role, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    views: tuple[View, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    acceptance: tuple[AcceptanceCase, ...] = ()
    constraints: Constraints = Constraints()
    behaviours: dict[str, str] = {}
    phases: tuple[Phase, ...] = ()
    hints: Hints = Hints()
    technology: dict[str, str] = {}
    """``name -> wanted version`` lines of every ``technology:`` block."""
    deliverables: tuple[str, ...] = ()
    """File names the spec's deliverables ask for."""
    do_not_build: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    nodes: tuple[Node, ...] = ()

    def entity(self, name: str) -> Entity:
        """The entity of that name. Raises KeyError."""
        for entity in self.entities:
            if entity.name == name:
                return entity
        raise KeyError(name)

    def default_role(self) -> str | None:
        """The first role granted ``all``; None when the spec has no roles or none is granted all."""
        for role in self.roles:
            if any(grant.verb == "all" for grant in role.grants):
                return role.name
        return None
