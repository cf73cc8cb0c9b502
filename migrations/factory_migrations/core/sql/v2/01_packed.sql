-- What builds that ended long ago leave (tasks, edges, boards, letters, decisions) moves to a file, too; here is where it is.
-- A build that is run again gets its rows back first.
create table packed (
    build_id uuid primary key references build (id) on delete cascade,
    org_id uuid not null,
    key text not null,
    digest text not null,
    size bigint not null,
    packed_at timestamptz not null
);
call journal.protect('packed');

-- The index has archived builds only, until they are packed; no update of a build that runs touches it.
alter table build add column packed boolean not null default false;
create index build_to_pack on build (ended_at) where archived and not packed;
