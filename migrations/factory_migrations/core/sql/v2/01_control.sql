-- Builds that stand still, and builds that are run again.
--
-- held_at: since when the build stands still (paused or halted); that time is none of its max_build_time.
-- max_seconds: its max_build_time in seconds, so that a build that is reopened gets all of it again.
-- paused: why the build was paused, while a halt hides that; an approval goes back to it.
-- first_fence: what the fences of new tasks start after. It is raised when tasks are taken away, so that a task of the
-- same name made later never meets a report of the old one.
alter table build
    add column held_at timestamptz,
    add column max_seconds double precision,
    add column paused text,
    add column first_fence integer not null default 0;
-- A person named the task, so that nothing of it is answered from memory.
alter table task add column afresh boolean not null default false;
update build set max_seconds = extract(epoch from deadline_at - created_at) where deadline_at is not null;
