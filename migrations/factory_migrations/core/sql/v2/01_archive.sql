-- Finished builds' events move to a file in the storage; here is where it is. A build that is run again after that gets
-- another file for what happened since: the files of a build follow on one another.
create table archive (
    build_id uuid not null references build (id) on delete cascade,
    first bigint not null,
    last bigint not null,
    org_id uuid not null,
    key text not null,
    digest text not null,
    size bigint not null,
    archived_at timestamptz not null,
    primary key (build_id, last)
);
call journal.protect('archive');

-- Says that all events up to now are archived. The index has finished builds only, until they are: it stays small, and
-- no update of a build that runs touches it.
alter table build add column archived boolean not null default false;
create index build_to_archive on build (ended_at) where not open and not archived;

-- How old results are that equal work would reuse; they come in the order of their times.
create index memo_age on memo using brin (created_at) with (pages_per_range = 32, autosummarize = on);
