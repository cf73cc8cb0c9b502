-- Back to the tables of v1; the functions of v1 are created after this.
drop schema if exists journal cascade;
create schema journal;
-- 01_queue
drop table job, dead_job;
drop index task_quarantined;
-- 01_control
alter table build drop column held_at, drop column max_seconds, drop column first_fence;
