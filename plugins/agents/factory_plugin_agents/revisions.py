"""The migration of a build: the first one, or the next after those of the release that it stands on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from factory_core.contracts.agent import Finding, FindingLevel, Tools, Work
from factory_core.contracts.blueprint import Blueprint
from factory_core.contracts.files import FileRef
from factory_core.errors import FactoryError

from .naming import digest
from .sampling import Sample, samples
from .schema import SCHEMA_FILE, Schema, read_schema, written
from .upgrades import Carry, Difference, Fill, Note, Step, difference

__all__ = [
    "Earlier",
    "Migration",
    "ReleaseUnfit",
    "earlier_in",
    "earlier_of",
    "is_migration",
    "kept_files",
    "migration_of",
    "upgrade_findings",
]

VERSIONS = "migrations/versions"


class ReleaseUnfit(FactoryError):
    """The migrations of the release cannot be gone on from."""

    status = 422
    exit_code = 1

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{reason} Build onto another release, or without one.")


class Earlier(Struct, frozen=True, kw_only=True):
    """What a release left: its tables, and the newest of its ``count`` migrations."""

    schema: Schema
    head: str
    count: int
    unknown: tuple[str, ...] = ()
    """Files of migrations after that of ``schema``, oldest first: what they do to tables is not known."""


class Migration(Struct, frozen=True, kw_only=True):
    """What templates see. Without ``steps`` on ``earlier`` tables there is nothing to migrate, and no new file."""

    file: str
    revision: str
    down: str | None
    up: tuple[Step, ...]
    back: tuple[Step, ...]
    schema: str
    """The content of the schema's file."""
    changes: Difference
    before: tuple[Sample, ...] = ()
    """Rows that the release may hold, to try the migration on."""

    @property
    def new(self) -> bool:
        """Whether there is a file to write."""
        return self.down is None or bool(self.up)

    def calls(self, helper: str) -> bool:
        """Whether a step's code calls the helper of that name."""
        codes = [step.made for step in (*self.up, *self.back) if isinstance(step, Carry)]
        codes += [step.value for step in (*self.up, *self.back) if isinstance(step, Fill)]
        return any(f"{helper}(" in code for code in codes)

    def uses(self, *kinds: str) -> bool:
        """Whether a step is of one of these kinds."""
        return any(step.kind in kinds for step in (*self.up, *self.back))


def migration_of(schema: Schema, earlier: Earlier | None) -> Migration:
    """From the release's tables to these. Equal tables after an equal release: an equal id."""
    before = earlier.schema if earlier is not None else Schema()
    changes = difference(before, schema)
    if earlier is not None and earlier.unknown:
        changes.warnings.append(_unknown(earlier.unknown))
    down = earlier.head if earlier is not None else None
    revision = digest(f"{down or ''}\0{_structure(schema)}")[:12]
    return Migration(
        file=f"{earlier.count + 1:04}_{revision}" if earlier is not None else "0001_initial",
        revision=revision,
        down=down,
        up=tuple(changes.steps),
        back=tuple(difference(schema, before, back=True).steps),
        schema=written(replace(schema, revision=revision if changes.steps or not down else before.revision)),
        changes=changes,
        before=samples(before, schema) if earlier is not None else (),
    )


def _structure(schema: Schema) -> str:
    """What the database knows. A default that was edited is no other table."""
    tables = [
        replace(
            table,
            owner="",
            columns=tuple(replace(one, default="", field="", values=()) for one in table.columns),
        )
        for table in schema.tables
    ]
    return msgspec.json.encode(tables).decode()


def is_migration(path: str) -> bool:
    """Whether the file at ``path`` is one of the project's migrations."""
    place = PurePosixPath(path)
    return place.parent == PurePosixPath(VERSIONS) and place.suffix == ".py"


def kept_files(work: Work) -> tuple[FileRef, ...]:
    """The migrations of the release."""
    return tuple(ref for ref in work.release if is_migration(ref.path))


async def earlier_of(work: Work, tools: Tools) -> Earlier | None:
    """What the release left; None without a release. Raises ReleaseUnfit."""
    read = [ref for ref in work.release if ref.path == SCHEMA_FILE or is_migration(ref.path)]
    return earlier_in({ref.path: await tools.read(ref) for ref in read}) if work.release else None


def earlier_in(files: Mapping[str, bytes]) -> Earlier:
    """What a release with these files left. Raises ReleaseUnfit."""
    if SCHEMA_FILE not in files:
        raise ReleaseUnfit(f"The release has no {SCHEMA_FILE}, which tells what its tables are.")
    try:
        schema = read_schema(files[SCHEMA_FILE])
    except msgspec.DecodeError as error:
        raise ReleaseUnfit(f"The release's {SCHEMA_FILE} cannot be read: {error}.") from error
    migrations = {path: text.decode(errors="replace") for path, text in files.items() if is_migration(path)}
    told = [_told(path, text) for path, text in migrations.items()]
    head = _head(told)
    if schema.revision not in {revision for revision, _ in told}:
        raise ReleaseUnfit(
            f"The release's {SCHEMA_FILE} is of a migration {schema.revision} that it does not hold."
        )
    files_of = dict(zip((revision for revision, _ in told), migrations, strict=True))
    later = _later(schema.revision, head, dict(told))
    unknown = tuple(files_of[revision] for revision in later)
    return Earlier(schema=schema, head=head, count=len(migrations), unknown=unknown)


def _later(known: str, head: str, told: Mapping[str, str | None]) -> list[str]:
    """The migrations after ``known`` up to ``head``, oldest first. Raises ReleaseUnfit."""
    later: list[str] = []
    at: str | None = head
    while at != known:
        if at is None or at not in told or at in later:
            raise ReleaseUnfit(
                f"The release's {SCHEMA_FILE} is of a migration {known} that {head}, its newest, does not follow."
            )
        later.insert(0, at)
        at = told[at]
    return later


def _unknown(files: tuple[str, ...]) -> Note:
    """A migration of one's own is welcome as long as it changes rows alone."""
    message = (
        f"{SCHEMA_FILE} of the release is older than {', '.join(files)}: the new migration follows, and takes the tables to "
        "be as they were before. If tables are changed there, change them back in a migration of your own, and have the "
        "specification change them."
    )
    return Note("schema-older", SCHEMA_FILE, message)


def upgrade_findings(migration: Migration, blueprint: Blueprint) -> tuple[tuple[Finding, ...], str]:
    """What the way from the release's tables costs, and why there is none; with the lines of the specification."""
    if migration.down is None:
        return (), ""
    lines = {entity.name: entity.line for entity in blueprint.entities}
    lines |= {f"{entity.name}.{one.name}": one.line for entity in blueprint.entities for one in entity.fields}
    levels = (
        (FindingLevel.WARNING, migration.changes.warnings),
        (FindingLevel.ERROR, migration.changes.refusals),
    )
    findings = tuple(
        Finding(
            level=level,
            code=note.code,
            message=note.message,
            path=note.subject,
            line=lines.get(note.subject, 0),
        )
        for level, notes in levels
        for note in notes
    )
    errors = [found for found in findings if found.level is FindingLevel.ERROR]
    told = [f"line {found.line}: {found.message}" if found.line else found.message for found in errors]
    return findings, " ".join(told)


def _head(told: list[tuple[str, str | None]]) -> str:
    """The migration that no other follows. Raises ReleaseUnfit."""
    followed = {down for _, down in told}
    heads = sorted(revision for revision, _ in told if revision not in followed)
    if len(heads) != 1:
        raise ReleaseUnfit(
            f"The release's migrations end in {', '.join(heads) or 'nothing'} instead of in one."
        )
    return heads[0]


_SAID = re.compile(
    r"^(revision|down_revision)[ \t]*(?::[^=\n]*)?=[ \t]*"
    r"""(?:(?:None|"([\w.]{1,64})"|'([\w.]{1,64})')[ \t]*(?:#|$)|(\())""",
    re.MULTILINE,
)
"""Lines as they stand outside of functions. The file is anybody's: to parse it whole would take longer and hundreds of
times its length."""


def _told(path: str, text: str) -> tuple[str, str | None]:
    """``revision`` and ``down_revision`` of a migration, which is read and never run. Raises ReleaseUnfit."""
    said = {found[1]: found for found in _SAID.finditer(text)}
    if any(found[4] for found in said.values()):
        raise ReleaseUnfit(f"The release's {path} follows more than one migration.")
    values = {name: found[2] or found[3] for name, found in said.items()}
    if not values.get("revision") or "down_revision" not in values:
        raise ReleaseUnfit(f"The release's {path} does not say which migration it is.")
    return values["revision"], values["down_revision"]
