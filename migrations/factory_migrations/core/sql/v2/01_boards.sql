-- What the agents of one build tell each other while it runs.
--
-- board: the blackboard. version counts the changes of a key, so that "compare and set" is one update. task and fence are
-- of the last writer.
create table board (
    build_id uuid not null,
    key text collate "C" not null,
    org_id uuid not null,
    version integer not null,
    value text not null,
    task text collate "C" not null,
    fence integer not null,
    at timestamptz not null,
    primary key (build_id, key),
    foreign key (build_id, task) references task (build_id, id) on delete cascade
);
create index board_task on board (build_id, task);
call journal.protect('board');

-- mail: the letters of a neural mesh, written in one round and read in the next.
create table mail (
    build_id uuid not null,
    sender text collate "C" not null,
    round integer not null,
    n integer not null,
    org_id uuid not null,
    recipient text collate "C" not null,
    body text not null,
    task text collate "C" not null,
    fence integer not null,
    primary key (build_id, sender, round, n),
    foreign key (build_id, task) references task (build_id, id) on delete cascade
);
create index mail_recipient on mail (build_id, recipient, round);
create index mail_task on mail (build_id, task);
call journal.protect('mail');
