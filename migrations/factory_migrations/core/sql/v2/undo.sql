-- Back to the tables of v1; the functions of v1 are created after this.
drop schema if exists journal cascade;
create schema journal;
-- 01_queue
drop table job, dead_job, past_worker;
drop index task_quarantined, event_at;
-- 01_control
alter table build drop column held_at, drop column paused, drop column max_seconds, drop column first_fence;
alter table task drop column afresh;
-- 01_shares
drop table project_share, usage;
drop index build_open_of, task_busy, task_ready;
create index task_ready on task (build_id, priority desc, n) where state = 'ready';
alter table task drop column rank;
alter table worker drop column vt;
alter table build drop column project, drop column max_running;
alter table organisation drop column max_running, drop column max_builds, drop column max_queued, drop column reserved,
    drop column max_memory;
-- 01_boards
drop table board, mail;
-- 01_archive: what was moved to files stays there
drop table archive;
drop index build_to_archive, memo_age;
alter table build drop column archived;
