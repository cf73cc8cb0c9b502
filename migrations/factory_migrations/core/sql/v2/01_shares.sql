-- Shares and limits; null is no limit. What runs is counted from the running rows, never from a counter, so that a slot
-- cannot be lost.
alter table organisation
    add column max_running integer check (max_running > 0),
    add column max_builds integer check (max_builds > 0),
    add column max_queued integer check (max_queued > 0),
    add column reserved boolean not null default false,
    add column max_memory bigint check (max_memory > 0);
alter table build
    add column project text not null default '',
    add column max_running integer check (max_running > 0);

-- The furthest virtual time this worker has served from: who was idle starts there.
alter table worker add column vt double precision not null default 0;

-- Smaller goes first. Set when a task becomes ready for the first time, and never again: priority grows with the time
-- waited for all alike, so the order of two waiting tasks does not change.
alter table task add column rank double precision not null default 0;
update task set rank = -priority where state = 'ready';
drop index task_ready;
create index task_ready on task (build_id, rank, n) where state = 'ready';
create index task_busy on task (org_id, build_id) where state = 'running';
create index build_open_of on build (org_id) where open;

-- What an organisation has used on a worker, in virtual time. Only that worker's steps write the row, so that no two
-- workers wait for each other; tend folds the rows of workers that are gone into organisation.vt.
create table usage (
    org_id uuid not null references organisation (id),
    worker uuid not null,
    vt double precision not null,
    primary key (org_id, worker)
) with (fillfactor = 50);
call journal.protect('usage');

-- How the projects of an organisation share what it has.
create table project_share (
    org_id uuid not null references organisation (id),
    project text not null,
    weight integer not null default 1 check (weight > 0),
    max_running integer check (max_running > 0),
    max_memory bigint check (max_memory > 0),
    primary key (org_id, project)
);
call journal.protect('project_share');
