-- Back to the tables of v1; the functions of v1 are created after this. "if exists", so that it also undoes an earlier state
-- of this version.
drop schema if exists journal cascade;
create schema journal;
-- 01_queue
drop table if exists job, job_turn, dead_job, past_worker;
drop index if exists task_quarantined, task_quarantined_of, event_at;
-- 01_control
alter table build drop column if exists held_at, drop column if exists paused, drop column if exists max_seconds,
    drop column if exists first_fence;
alter table task drop column if exists afresh;
-- 01_parking
alter table task drop column if exists parked;
-- 01_host_use
drop table if exists host_use;
-- 01_shares
drop table if exists project_share, usage;
drop index if exists build_open_of, task_busy, task_ready;
create index task_ready on task (build_id, priority desc, n) where state = 'ready';
alter table task drop column if exists rank;
alter table worker drop column if exists vt;
alter table build drop column if exists project, drop column if exists max_running;
alter table organisation drop column if exists max_running, drop column if exists max_builds,
    drop column if exists max_queued, drop column if exists reserved, drop column if exists max_memory;
-- 01_boards
drop table if exists board, mail;
-- 01_archive: what was moved to files stays there
drop table if exists archive;
drop index if exists build_to_archive, memo_age;
alter table build drop column if exists archived;
-- 01_packed: likewise
drop table if exists packed;
drop index if exists build_to_pack;
alter table build drop column if exists packed;
