-- The journal's tables. Only the functions of schema "journal" write to them; they do so under the lock of the build's
-- row, which is why tasks, edges and events need no locks of their own.
create schema journal;

-- The one clock. Tests replace it to prove that no worker's clock matters.
create function factory_now() returns timestamptz language sql volatile as 'select clock_timestamp()';

create table organisation (
    id uuid primary key,
    name text not null,
    weight integer not null default 1 check (weight > 0),
    vt double precision not null default 0,
    created_at timestamptz not null default factory_now()
);

-- unfinished, ready and broken count rows of task (broken: not optional and not done). They change in the statement that
-- changes those rows, so that "is there work" and "is it over" cost no look at the tasks. No index names them: updates
-- of a build stay within its page (HOT).
create table build (
    id uuid primary key,
    org_id uuid not null references organisation (id),
    idem_key text not null,
    spec_digest text not null,
    options jsonb not null default '{}',
    state text not null default 'queued' check (state in (
        'queued', 'planning', 'running', 'waiting', 'paused', 'halted', 'stopping', 'passed', 'failed', 'cancelled')),
    open boolean not null default true,
    stop boolean not null default false,
    reason text not null default '',
    next_seq bigint not null default 1,
    tasks integer not null default 0,
    agents integer not null default 0,
    unfinished integer not null default 0,
    ready integer not null default 0,
    broken integer not null default 0,
    max_agents integer not null,
    max_depth integer not null,
    weight integer not null default 1 check (weight > 0),
    vt double precision not null default 0,
    drop_at timestamptz,
    deadline_at timestamptz,
    created_at timestamptz not null,
    ended_at timestamptz,
    unique (org_id, idem_key)
) with (fillfactor = 50);
create index build_open on build (id) where open;
create index build_of_organisation on build (org_id, id desc);

-- need = parents that have not ended. fence counts the claims; end_fence and end_seq remember the last attempt that
-- reported back and the event it got, so that a repeated report is answered as the first was.
create table task (
    build_id uuid not null references build (id) on delete cascade,
    id text collate "C" not null,
    org_id uuid not null,
    n integer not null,
    parent text collate "C",
    depth integer not null default 0,
    agent text not null,
    title text not null default '',
    team text not null default '',
    phase text not null default '',
    scope text not null default 'project',
    params jsonb not null default '{}',
    requirements text[] not null default '{}',
    seconds double precision not null default 0,
    priority integer not null default 0,
    optional boolean not null default false,
    always boolean not null default false,
    state text not null default 'waiting' check (state in (
        'waiting', 'ready', 'running', 'done', 'failed', 'cancelled', 'quarantined', 'skipped')),
    need integer not null default 0,
    outs integer not null default 0,
    fence integer not null default 0,
    worker uuid,
    tick bigint,
    run_at timestamptz,
    started_at timestamptz,
    ended_at timestamptz,
    deadline_at timestamptz,
    deadline_seconds double precision not null default 900,
    tries integer not null default 0,
    max_tries integer not null default 3,
    crashes integer not null default 0,
    end_fence integer,
    end_seq bigint,
    memo_digest text,
    result jsonb,
    reason text not null default '',
    primary key (build_id, id)
) with (fillfactor = 80);
create index task_ready on task (build_id, priority desc, n) where state = 'ready';
create index task_running on task (worker) where state = 'running';
create index task_due on task (run_at) where state = 'waiting' and run_at is not null;

create table edge (
    build_id uuid not null,
    parent text collate "C" not null,
    child text collate "C" not null,
    org_id uuid not null,
    primary key (build_id, parent, child),
    foreign key (build_id, parent) references task (build_id, id) on delete cascade,
    foreign key (build_id, child) references task (build_id, id) on delete cascade
);
create index edge_child on edge (build_id, child);

-- No foreign key: it would lock the build's row once more for every event.
create table event (
    build_id uuid not null,
    seq bigint not null,
    org_id uuid not null,
    kind text not null,
    task text collate "C",
    fence integer,
    at timestamptz not null,
    body jsonb not null default '{}',
    primary key (build_id, seq)
);

-- The tries of each task, told by its events: a table of its own would write every fact twice.
create view attempt with (security_invoker = true) as
select
    s.org_id, s.build_id, s.task, s.fence, (s.body ->> 'worker')::uuid as worker,
    s.at as started_at, e.at as ended_at, e.kind as outcome
from event s
left join lateral (
    select x.at, x.kind from event x
    where x.build_id = s.build_id and x.seq > s.seq and x.task = s.task and x.fence = s.fence
    order by x.seq limit 1
) e on true
where s.kind = 'task.started';

-- tick is the last step a worker took; the same tick again means that it never heard the answer.
create table worker (
    id uuid primary key,
    name text not null,
    slots integer not null,
    tick bigint not null default 0,
    started_at timestamptz not null,
    beat_at timestamptz not null
) with (fillfactor = 50);

create table memo (
    org_id uuid not null references organisation (id),
    digest text collate "C" not null,
    result jsonb not null,
    created_at timestamptz not null,
    primary key (org_id, digest)
);
