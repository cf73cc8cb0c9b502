-- Lock order everywhere: one worker row, then builds ascending. What locks out of order never waits (skip locked).
--
-- What moves tasks here answers the builds in which it did, a build as often as it has such tasks: whoever asked tells those
-- who follow them.

-- The first worker of a fleet takes up the virtual time of the organisation that is furthest behind of those with work.
create function journal.enlist(p_worker uuid, p_name text, p_slots integer) returns void
language sql volatile as $$
    insert into worker (id, name, slots, started_at, beat_at, vt)
    select p_worker, p_name, p_slots, factory_now(), factory_now(), coalesce((select max(vt) from worker), (
        select case when bool_or(x.open) then min(x.vt) filter (where x.open) else max(x.vt) end
        from (
            select o.vt + coalesce((select sum(u.vt) from usage u where u.org_id = o.id), 0) as vt,
                exists (select from build b where b.org_id = o.id and b.open) as open
            from organisation o) x
    ), 0)
    on conflict do nothing
$$;

-- Folds what organisations have used on workers that are gone: how many rows.
create function journal.fold() returns integer
language plpgsql as $$
declare
    v_orgs uuid[];
    v_count integer;
begin
    if not exists (select from usage u where not exists (select from worker w where w.id = u.worker)) then
        return 0;
    end if;
    select array_agg(o.id) into v_orgs from (
        select o.id from organisation o
        where exists (select from usage u where u.org_id = o.id and not exists (select from worker w where w.id = u.worker))
        order by o.id for no key update skip locked) o;
    with gone as (
        delete from usage u using (
            select u.org_id, u.worker from usage u
            where u.org_id = any (v_orgs) and not exists (select from worker w where w.id = u.worker) for update skip locked
        ) x
        where u.org_id = x.org_id and u.worker = x.worker returning u.org_id, u.vt
    ), kept as (
        update organisation o set vt = o.vt + g.vt from (select org_id, sum(vt) as vt from gone group by org_id) g
        where o.id = g.org_id
    )
    select count(*) into v_count from gone;
    return v_count;
end $$;

-- Frees what a worker holds and deletes its row. p_died: each of its tasks counts a crash, and the third quarantines it.
-- The caller holds the worker's lock.
create function journal.free(p_worker uuid, p_died boolean, p_now timestamptz) returns uuid[]
language plpgsql as $$
declare
    v_build uuid[];
    v_task text[];
    v_state text[];
begin
    perform from build where id in (select build_id from task where worker = p_worker and state = 'running')
    order by id for update;
    select array_agg(t.build_id), array_agg(t.id), array_agg(case
        when b.stop then 'cancelled' when p_died and t.crashes >= 2 then 'quarantined' else 'ready' end)
    into v_build, v_task, v_state
    from task t join build b on b.id = t.build_id where t.worker = p_worker and t.state = 'running';
    if v_build is not null then -- held
        perform journal.turn(v_build, v_task, v_state, (
            select array_agg(case s when 'ready' then 'task.lease_lost' else 'task.' || s end order by o)
            from unnest(v_state) with ordinality as i (s, o)), case when p_died then 'its worker died' else 'its worker left' end,
            p_died, p_now);
    end if;
    delete from worker where id = p_worker;
    return coalesce(v_build, '{}');
end $$;

-- Takes the tasks of one worker that has been silent for p_ttl seconds. Null: none is silent.
create function journal.reap(p_ttl double precision) returns uuid[]
language plpgsql as $$
declare
    v_now timestamptz := factory_now();
    v_worker uuid;
begin
    select id into v_worker from worker where beat_at < v_now - p_ttl * interval '1 second'
    order by beat_at, id limit 1 for update skip locked;
    return case when v_worker is not null then journal.free(v_worker, true, v_now) end;
end $$;

-- A worker says goodbye.
create function journal.leave(p_worker uuid) returns uuid[]
language plpgsql as $$
begin
    perform from worker where id = p_worker for update;
    return journal.free(p_worker, false, factory_now());
end $$;

-- Makes ready the tasks whose time has come. No event tells of that; a claim soon will.
create function journal.fire() returns uuid[]
language plpgsql as $$
declare
    v_now timestamptz := factory_now();
    v_build uuid[];
    v_task text[];
begin
    select array_agg(c.id) into v_build from (
        select id from build
        where id in (select build_id from task where state = 'waiting' and run_at <= v_now and need = 0) and open and not stop
        for update skip locked
    ) c;
    select array_agg(t.build_id), array_agg(t.id) into v_build, v_task from task t
    where t.build_id = any (v_build) and t.state = 'waiting' and t.run_at <= v_now and t.need = 0;
    if v_build is not null then
        perform journal.turn(v_build, v_task, array_fill('ready'::text, array[cardinality(v_build)]),
            array_fill(null::text, array[cardinality(v_build)]), '', false, v_now);
    end if;
    return coalesce(v_build, '{}');
end $$;

-- Ends the attempts that took longer than their deadline, though their worker lives.
create function journal.expire() returns uuid[]
language plpgsql as $$
declare
    v_now timestamptz := factory_now();
    v_build uuid[];
    v_task text[];
    v_state text[];
    v_kind text[];
begin
    select array_agg(c.id) into v_build from (
        select id from build where id in (select build_id from task where state = 'running' and deadline_at < v_now)
        for update skip locked
    ) c;
    select array_agg(t.build_id), array_agg(t.id), array_agg(x.state),
        array_agg(case x.state when 'ready' then 'task.retrying' else 'task.' || x.state end)
    into v_build, v_task, v_state, v_kind
    from task t join build b on b.id = t.build_id
    cross join lateral (select case
        when b.stop then 'cancelled' when t.tries + 1 >= t.max_tries then 'failed' else 'ready' end as state) x
    where t.build_id = any (v_build) and t.state = 'running' and t.deadline_at < v_now;
    if v_build is not null then
        perform journal.turn(v_build, v_task, v_state, v_kind, 'it took longer than its deadline', false, v_now);
    end if;
    return coalesce(v_build, '{}');
end $$;

-- Holds builds to their time: at four fifths of it what is optional is dropped, at its end all but the tasks that always
-- run ends, so that the report is still delivered.
create function journal.curtail() returns uuid[]
language plpgsql as $$
declare
    v_now timestamptz := factory_now();
    v_id uuid;
    v_last boolean;
    v_build uuid[] := '{}';
    v_task text[];
    v_state text[];
begin
    for v_id, v_last in
        select id, deadline_at is not null and deadline_at <= v_now from build
        where open and not stop and held_at is null and (drop_at <= v_now or deadline_at <= v_now) order by id for update skip locked
    loop
        update build set drop_at = null, deadline_at = case when not v_last then deadline_at end,
            reason = case when v_last then 'its time was up' else reason end
        where id = v_id;
        select array_agg(t.id), array_agg(case t.state when 'running' then 'failed' else 'skipped' end) into v_task, v_state
        from task t where t.build_id = v_id and not t.always and (
            (v_last and t.state in ('waiting', 'ready', 'running')) or (t.optional and t.state in ('waiting', 'ready')));
        if v_task is not null then
            perform journal.turn(array_fill(v_id, array[cardinality(v_task)]), v_task, v_state, (
                select array_agg('task.' || s order by o) from unnest(v_state) with ordinality as i (s, o)),
                'the build''s time was up', false, v_now);
            v_build := v_build || v_id;
        end if;
    end loop;
    return v_build;
end $$;

-- All upkeep in one call, once a second by any worker. reap comes first, because it alone waits for locks.
create function journal.tend(p_ttl double precision) returns uuid[]
language plpgsql as $$
declare
    v_build uuid[] := coalesce(journal.reap(p_ttl), '{}');
begin
    v_build := v_build || journal.fire() || journal.expire() || journal.curtail();
    perform journal.fold();
    return v_build;
end $$;

-- Stops a build: what waits is cancelled now, what runs when its worker hears of it. Null: no such build of this
-- organisation; false: it had ended.
create function journal.cancel(p_org uuid, p_build uuid, p_reason text) returns boolean
language plpgsql as $$
declare
    v_now timestamptz := factory_now();
    v_build build;
    v_task text[];
begin
    select * into v_build from build where id = p_build and org_id = p_org for update;
    if not found or not v_build.open or v_build.stop then
        return v_build.open;
    end if;
    update build set stop = true, state = 'stopping', held_at = null, paused = null, reason = p_reason, next_seq = next_seq + 1 where id = p_build;
    insert into event (build_id, seq, org_id, kind, at, body)
    values (p_build, v_build.next_seq, p_org, 'build.stopping', v_now, jsonb_build_object('reason', p_reason));
    select array_agg(id order by n) into v_task from task where build_id = p_build and state in ('waiting', 'ready');
    perform journal.turn(array_fill(p_build, array[coalesce(cardinality(v_task), 0)]), v_task,
        array_fill('cancelled'::text, array[coalesce(cardinality(v_task), 0)]),
        array_fill('task.cancelled'::text, array[coalesce(cardinality(v_task), 0)]), p_reason, false, v_now);
    perform journal.finish(array[p_build], v_now);
    return true;
end $$;

alter function journal.fire set plan_cache_mode = force_custom_plan;
alter function journal.tend set plan_cache_mode = force_custom_plan;
alter function journal.leave set plan_cache_mode = force_custom_plan;
alter function journal.cancel set plan_cache_mode = force_custom_plan;
