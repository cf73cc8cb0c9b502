-- The studio's ordinary jobs (mail, web hooks, figures). As with builds, the row is the truth and Redis only says "look".
--
-- run_at: from then on anybody may take the job. For one that runs it is the end of its lease, so that a lost worker
-- needs no reaper. fence counts the takings; a report under an older one is too late. taken: by which question, so that it
-- is answered again when its answer was lost. done rows are kept for a while,
-- because figures are counted from them.
create table job (
    id uuid primary key,
    org_id uuid not null,
    queue text not null,
    name text not null,
    payload jsonb not null default '{}',
    key text,
    state text not null default 'waiting' check (state in ('waiting', 'running', 'done')),
    fence integer not null default 0,
    attempts integer not null default 0,
    max_attempts integer not null,
    run_at timestamptz not null,
    error text not null default '',
    created_at timestamptz not null,
    started_at timestamptz,
    ended_at timestamptz,
    taken uuid
) with (fillfactor = 80);
create index job_taken on job (taken) where state = 'running';
create index job_due on job (org_id, name, run_at) where state <> 'done';
create index job_done on job (ended_at) where state = 'done';
create unique index job_key on job (org_id, name, key) where key is not null;

-- How far organisations are in the virtual time of jobs: what they had over their weight. served: the furthest they were
-- served from; the greatest of all is where those start who had nothing to do.
create table job_turn (
    org_id uuid primary key,
    vt double precision not null,
    served double precision not null
) with (fillfactor = 50);
create index job_turn_served on job_turn (served);

-- Jobs that used up their attempts. Somebody retries or discards them; until then no other of their key is made.
create table dead_job (
    id uuid primary key,
    org_id uuid not null,
    queue text not null,
    name text not null,
    payload jsonb not null,
    attempts integer not null,
    error text not null,
    created_at timestamptz not null,
    died_at timestamptz not null,
    key text
);
create index dead_job_key on dead_job (org_id, name, key) where key is not null;
create index dead_job_of_organisation on dead_job (org_id, died_at, id);
create index dead_job_died on dead_job (died_at, id);

call journal.protect('job');
call journal.protect('dead_job');
call journal.protect('job_turn');
-- A job is asked for in the transaction that makes it necessary, and that may be a tenant's.
grant insert on job to factory_tenant;

-- Build tasks that wait for a person, by when they died: an organisation's, and all.
create index task_quarantined_of on task (org_id, ended_at, build_id, id) where state = 'quarantined';
create index task_quarantined on task (ended_at, build_id, id) where state = 'quarantined';

-- What happened lately, for figures. Events are appended in the order of their times, so a range of pages has a range of
-- times: the index has a row for each 32 pages, and an insert seldom touches it.
create index event_at on event using brin (at) with (pages_per_range = 32, autosummarize = on);

-- Workers that were lost or left, so that a dead letter can say who held it. Kept for a month.
create table past_worker (
    id uuid primary key,
    name text not null,
    started_at timestamptz not null,
    gone_at timestamptz not null
);
create index past_worker_gone on past_worker (gone_at);
