-- What sandboxed commands took of the workers' hosts, as the worker processes count it: by organisation, project, process and
-- minute. Of the last minutes only; journal.forget takes the others. memory is what was held at counted_at.
create table host_use (
    org_id uuid not null references organisation (id),
    project text not null,
    process uuid not null,
    minute timestamptz not null,
    seconds double precision not null,
    memory bigint not null,
    counted_at timestamptz not null,
    primary key (org_id, project, process, minute)
) with (fillfactor = 50);
create index host_use_age on host_use (minute);
call journal.protect('host_use');
