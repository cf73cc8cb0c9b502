-- Back to the tables of v1; the functions of v1 are created after this.
drop schema if exists journal cascade;
create schema journal;
-- 01_queue
drop table job, dead_job, past_worker;
drop index task_quarantined, event_at;
-- 01_control
alter table build drop column held_at, drop column max_seconds, drop column first_fence;
