-- Ordinary jobs, dead letters, and what is remembered of workers. The jobs' functions lock neither builds nor workers.

-- Takes up to p_want due jobs of these names, each for p_ttl seconds. One whose worker was lost in its last attempt is
-- dead. p_token: whose answer was lost asks again with the same, and is given what it has taken.
--
-- Organisations take turns by virtual time: a job counts 1 over the organisation's weight, and as much again whenever its
-- lease is renewed. Who had nothing to do starts where the others are. Within an organisation the first due is the first.
create function journal.take_jobs(p_names text[], p_want integer, p_ttl double precision, p_token uuid default null)
returns setof job
language plpgsql as $$
#variable_conflict use_column
declare
    v_now timestamptz := factory_now();
    v_clock double precision;
    v_id uuid[];
    v_org uuid[];
    v_tag double precision[];
begin
    -- One taking at a time, a few milliseconds each: two would choose the same jobs. It is one statement of its caller, and
    -- who holds locks on jobs never waits for this one.
    perform pg_advisory_xact_lock(7204116);
    if p_token is not null then
        return query
        update job set run_at = v_now + p_ttl * interval '1 second' where taken = p_token and state = 'running' returning *;
        if found then
            return;
        end if;
    end if;
    select coalesce(max(served), 0) into v_clock from job_turn;
    -- What there is to do, from one kind of job of one organisation to the next, without reading the jobs between.
    with recursive kind as (
        (select org_id, name from job where state <> 'done' order by org_id, name limit 1)
        union all
        select n.org_id, n.name from kind k
        cross join lateral (
            select j.org_id, j.name from job j where j.state <> 'done' and (j.org_id, j.name) > (k.org_id, k.name)
            order by j.org_id, j.name limit 1) n
    ), due as materialized (
        select k.org_id, k.name from kind k
        cross join lateral (
            select from job j
            where j.org_id = k.org_id and j.name = k.name and j.state <> 'done' and j.run_at <= v_now limit 1) d
        where k.name = any (p_names)
    ), first as (
        select d.org_id, greatest(t.vt, v_clock) as time, coalesce(o.weight, 1) as weight
        from (select distinct org_id from due) d
        left join job_turn t on t.org_id = d.org_id
        left join organisation o on o.id = d.org_id
        order by time, d.org_id limit p_want
    ), ranked as (
        select x.id, f.org_id,
            f.time + (row_number() over (partition by f.org_id order by x.run_at, x.id) - 1)::double precision / f.weight as tag
        from first f
        join due d on d.org_id = f.org_id
        cross join lateral (
            select j.id, j.run_at from job j
            where j.org_id = d.org_id and j.name = d.name and j.state <> 'done' and j.run_at <= v_now
            order by j.run_at limit p_want) x
        order by tag, f.org_id
    ), locked as (
        select r.* from ranked r
        cross join lateral (
            select from job j where j.id = r.id and j.state <> 'done' and j.run_at <= v_now for update skip locked) l
        limit p_want
    )
    select array_agg(id), array_agg(org_id), array_agg(tag) into v_id, v_org, v_tag from locked;
    if v_id is null then
        return;
    end if;
    insert into job_turn as t (org_id, vt, served)
    select l.org_id, l.tag + 1::double precision / coalesce(o.weight, 1), l.tag
    from (select org_id, max(tag) as tag from unnest(v_org, v_tag) as i (org_id, tag) group by org_id) l
    left join organisation o on o.id = l.org_id
    order by l.org_id
    on conflict (org_id) do update set vt = greatest(t.vt, excluded.vt), served = excluded.served;
    with spent as (
        delete from job where id = any (v_id) and attempts >= max_attempts returning *
    )
    insert into dead_job (id, org_id, queue, name, payload, key, attempts, error, created_at, died_at)
    select id, org_id, queue, name, payload, key, attempts, trim('; ' from error || '; its worker was lost'), created_at, v_now
    from spent;
    return query
    update job set state = 'running', fence = fence + 1, attempts = attempts + 1, started_at = v_now,
        run_at = v_now + p_ttl * interval '1 second', taken = p_token
    where id = any (v_id) returning *;
end $$;

-- Planned like journal.step: once, perhaps while the tables were empty, and for what they hold later.
alter function journal.take_jobs set plan_cache_mode = force_generic_plan;
alter function journal.take_jobs set enable_seqscan = off;
alter function journal.take_jobs set enable_hashjoin = off;
alter function journal.take_jobs set enable_mergejoin = off;
alter function journal.take_jobs set jit = off;

-- Goes on holding jobs: the ids of those that are no longer the caller's.
create function journal.hold_jobs(p_id uuid[], p_fence integer[], p_ttl double precision) returns setof uuid
language plpgsql as $$
declare
    v_id uuid[];
    v_org uuid[];
begin
    with held as (
        update job j set run_at = factory_now() + p_ttl * interval '1 second'
        from unnest(p_id, p_fence) as h (id, fence)
        where j.id = h.id and j.fence = h.fence and j.state = 'running'
        returning j.id, j.org_id
    )
    select array_agg(id), array_agg(org_id) into v_id, v_org from held;
    -- After the jobs, and in one order.
    perform from job_turn where org_id = any (v_org) order by org_id for no key update;
    update job_turn t set vt = t.vt + u.n::double precision / coalesce(o.weight, 1)
    from (select org_id, count(*) as n from unnest(v_org) as i (org_id) group by org_id) u
    left join organisation o on o.id = u.org_id
    where t.org_id = u.org_id;
    return query select id from unnest(p_id) as i (id) where (id = any (v_id)) is not true;
end $$;

-- Records how jobs ended. p_error null: done. p_back: stopped before its end, no attempt counted. Otherwise it is tried
-- again after p_delay seconds, or is dead after its last attempt. Safe to repeat.
create function journal.end_jobs(
    p_id uuid[], p_fence integer[], p_error text[], p_back boolean[], p_delay double precision[]
) returns void
language plpgsql as $$
declare
    v_now timestamptz := factory_now();
begin
    with ended as (
        select j.id, e.error, e.back, e.delay, e.error is not null and not e.back and j.attempts >= j.max_attempts as dead
        from unnest(p_id, p_fence, p_error, p_back, p_delay) as e (id, fence, error, back, delay)
        join job j on j.id = e.id and j.fence = e.fence and j.state = 'running'
        for update of j
    ), kept as (
        update job j set
            state = case when e.back or e.error is not null then 'waiting' else 'done' end,
            attempts = j.attempts - e.back::integer,
            run_at = case when e.back then v_now else v_now + e.delay * interval '1 second' end,
            error = coalesce(e.error, ''),
            ended_at = case when not e.back then v_now end
        from ended e where j.id = e.id and not e.dead
    ), buried as (
        delete from job j using ended e where j.id = e.id and e.dead
        returning j.id, j.org_id, j.queue, j.name, j.payload, j.key, j.attempts, e.error, j.created_at
    )
    insert into dead_job (id, org_id, queue, name, payload, key, attempts, error, created_at, died_at)
    select id, org_id, queue, name, payload, key, attempts, error, created_at, v_now from buried;
end $$;

-- Forgets up to a thousand jobs that were done p_keep seconds ago.
create function journal.sweep_jobs(p_keep double precision) returns integer
language sql volatile as $$
    with gone as (
        delete from job where id in (
            select id from job where state = 'done' and ended_at < (select factory_now() - p_keep * interval '1 second')
            order by ended_at limit 1000 for update skip locked)
        returning 1
    )
    select count(*)::integer from gone
$$;

-- A dead job starts over, unless one of its key was made while it died: then that one is it. p_org null: whoever's it is.
-- False: there is no such dead job.
create function journal.revive_job(p_org uuid, p_id uuid) returns boolean
language sql volatile as $$
    with risen as (
        delete from dead_job where id = p_id and (p_org is null or org_id = p_org) returning *
    ), again as (
        insert into job (id, org_id, queue, name, payload, key, max_attempts, run_at, created_at)
        select id, org_id, queue, name, payload, key, attempts, factory_now(), created_at from risen
        on conflict (org_id, name, key) where key is not null do nothing
    )
    select exists (select from risen)
$$;

create function journal.discard_job(p_org uuid, p_id uuid) returns boolean
language sql volatile as $$
    with gone as (
        delete from dead_job where id = p_id and (p_org is null or org_id = p_org) returning 1
    )
    select exists (select from gone)
$$;

-- A person accepts that a quarantined task stays undone: it has failed, and the build keeps the end it has or will have.
-- Null: there is no such task; false: it is not quarantined.
create function journal.discard_task(p_org uuid, p_build uuid, p_task text, p_by text) returns boolean
language plpgsql as $$
declare
    v_state text;
begin
    perform from build where id = p_build and (p_org is null or org_id = p_org) for update;
    if not found then
        return null;
    end if;
    select state into v_state from task where build_id = p_build and id = p_task;
    if v_state is distinct from 'quarantined' then
        return case when v_state is not null then false end;
    end if;
    update task set state = 'failed' where build_id = p_build and id = p_task;
    update build set archived = false where id = p_build and archived;
    perform journal.tell(p_build, 'task.discarded', p_task, jsonb_build_object('by', p_by), factory_now());
    return true;
end $$;

create function journal.remember_worker() returns trigger
language plpgsql as $$
begin
    insert into past_worker (id, name, started_at, gone_at) values (old.id, old.name, old.started_at, factory_now())
    on conflict (id) do nothing;
    return null;
end $$;
create trigger remember after delete on worker for each row execute function journal.remember_worker();
