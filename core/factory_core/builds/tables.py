"""The journal's tables for ordinary queries. The SQL migration is their definition; a test compares the two.

Piccolo knows no keys of several columns: where a table has one, the column that tells rows of one build (or one
organisation) apart is declared as the key. Builds are changed by the journal's functions only.
"""

from __future__ import annotations

from piccolo.columns import (
    JSONB,
    UUID,
    Array,
    BigInt,
    Boolean,
    DoublePrecision,
    Integer,
    Text,
    Timestamptz,
)
from piccolo.table import Table

__all__ = [
    "TABLES",
    "Archive",
    "BoardEntry",
    "Build",
    "DeadJob",
    "Edge",
    "EventLog",
    "HostUse",
    "JobTurn",
    "MailRow",
    "Memo",
    "Organisation",
    "Packed",
    "PastWorker",
    "ProjectShare",
    "QueuedJob",
    "Task",
    "Usage",
    "WorkerBeat",
]


class Organisation(Table, tablename="organisation"):
    id = UUID(primary_key=True)
    name = Text()
    weight = Integer(default=1)
    vt = DoublePrecision(default=0.0)
    created_at = Timestamptz()
    max_running = Integer(null=True)
    max_builds = Integer(null=True)
    max_queued = Integer(null=True)
    reserved = Boolean(default=False)
    max_memory = BigInt(null=True)


class Build(Table, tablename="build"):
    id = UUID(primary_key=True)
    org_id = UUID()
    idem_key = Text()
    spec_digest = Text()
    options = JSONB()
    state = Text()
    open = Boolean(default=True)
    stop = Boolean(default=False)
    reason = Text()
    next_seq = BigInt()
    tasks = Integer()
    agents = Integer()
    unfinished = Integer()
    ready = Integer()
    broken = Integer()
    max_agents = Integer()
    max_depth = Integer()
    weight = Integer(default=1)
    vt = DoublePrecision(default=0.0)
    drop_at = Timestamptz(null=True)
    deadline_at = Timestamptz(null=True)
    created_at = Timestamptz()
    ended_at = Timestamptz(null=True)
    held_at = Timestamptz(null=True)
    max_seconds = DoublePrecision(null=True)
    paused = Text(null=True)
    first_fence = Integer(default=0)
    project = Text()
    max_running = Integer(null=True)
    archived = Boolean(default=False)
    packed = Boolean(default=False)


class Task(Table, tablename="task"):
    build_id = UUID()
    id = Text(primary_key=True)
    org_id = UUID()
    n = Integer()
    parent = Text(null=True)
    depth = Integer()
    agent = Text()
    title = Text()
    team = Text()
    phase = Text()
    scope = Text()
    params = JSONB()
    requirements = Array(base_column=Text())
    seconds = DoublePrecision()
    priority = Integer()
    optional = Boolean()
    always = Boolean()
    state = Text()
    need = Integer()
    outs = Integer()
    fence = Integer()
    worker = UUID(null=True)
    tick = BigInt(null=True)
    run_at = Timestamptz(null=True)
    started_at = Timestamptz(null=True)
    ended_at = Timestamptz(null=True)
    deadline_at = Timestamptz(null=True)
    deadline_seconds = DoublePrecision()
    tries = Integer()
    max_tries = Integer()
    crashes = Integer()
    end_fence = Integer(null=True)
    end_seq = BigInt(null=True)
    memo_digest = Text(null=True)
    result = JSONB(null=True)
    reason = Text()
    rank = DoublePrecision()
    afresh = Boolean()
    parked = DoublePrecision(default=0)


class Edge(Table, tablename="edge"):
    build_id = UUID()
    parent = Text()
    child = Text(primary_key=True)
    org_id = UUID()


class EventLog(Table, tablename="event"):
    build_id = UUID()
    seq = BigInt(primary_key=True)
    org_id = UUID()
    kind = Text()
    task = Text(null=True)
    fence = Integer(null=True)
    at = Timestamptz()
    body = JSONB()


class WorkerBeat(Table, tablename="worker"):
    id = UUID(primary_key=True)
    name = Text()
    slots = Integer()
    tick = BigInt()
    started_at = Timestamptz()
    beat_at = Timestamptz()
    vt = DoublePrecision()


class Usage(Table, tablename="usage"):
    org_id = UUID()
    worker = UUID(primary_key=True)
    vt = DoublePrecision()


class HostUse(Table, tablename="host_use"):
    org_id = UUID()
    project = Text()
    process = UUID(primary_key=True)
    minute = Timestamptz()
    seconds = DoublePrecision()
    memory = BigInt()
    counted_at = Timestamptz()


class ProjectShare(Table, tablename="project_share"):
    org_id = UUID()
    project = Text(primary_key=True)
    weight = Integer(default=1)
    max_running = Integer(null=True)
    max_memory = BigInt(null=True)


class Memo(Table, tablename="memo"):
    org_id = UUID()
    digest = Text(primary_key=True)
    result = JSONB()
    created_at = Timestamptz()


class QueuedJob(Table, tablename="job"):
    id = UUID(primary_key=True)
    org_id = UUID()
    queue = Text()
    name = Text()
    payload = JSONB()
    key = Text(null=True)
    state = Text()
    fence = Integer()
    attempts = Integer()
    max_attempts = Integer()
    run_at = Timestamptz()
    error = Text()
    created_at = Timestamptz()
    started_at = Timestamptz(null=True)
    ended_at = Timestamptz(null=True)
    taken = UUID(null=True)


class JobTurn(Table, tablename="job_turn"):
    org_id = UUID(primary_key=True)
    vt = DoublePrecision()
    served = DoublePrecision()


class DeadJob(Table, tablename="dead_job"):
    id = UUID(primary_key=True)
    org_id = UUID()
    queue = Text()
    name = Text()
    payload = JSONB()
    key = Text(null=True)
    attempts = Integer()
    error = Text()
    created_at = Timestamptz()
    died_at = Timestamptz()


class PastWorker(Table, tablename="past_worker"):
    id = UUID(primary_key=True)
    name = Text()
    started_at = Timestamptz()
    gone_at = Timestamptz()


class BoardEntry(Table, tablename="board"):
    build_id = UUID()
    key = Text(primary_key=True)
    org_id = UUID()
    version = Integer()
    value = Text()
    task = Text()
    fence = Integer()
    at = Timestamptz()


class MailRow(Table, tablename="mail"):
    build_id = UUID()
    sender = Text(primary_key=True)
    round = Integer()
    n = Integer()
    org_id = UUID()
    recipient = Text()
    body = Text()
    task = Text()
    fence = Integer()


class Archive(Table, tablename="archive"):
    build_id = UUID()
    first = BigInt()
    last = BigInt(primary_key=True)
    org_id = UUID()
    key = Text()
    digest = Text()
    size = BigInt()
    archived_at = Timestamptz()


class Packed(Table, tablename="packed"):
    build_id = UUID(primary_key=True)
    org_id = UUID()
    key = Text()
    digest = Text()
    size = BigInt()
    packed_at = Timestamptz()


TABLES: tuple[type[Table], ...] = (
    Organisation,
    Build,
    Task,
    Edge,
    EventLog,
    WorkerBeat,
    Usage,
    HostUse,
    ProjectShare,
    Memo,
    QueuedJob,
    JobTurn,
    DeadJob,
    PastWorker,
    BoardEntry,
    MailRow,
    Archive,
    Packed,
)
