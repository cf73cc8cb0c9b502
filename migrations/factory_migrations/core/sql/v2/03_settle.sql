-- What follows from the end of tasks: children become ready, are skipped, or (barriers) end at once, and so on down.
create type journal.hit as (build_id uuid, task text, n integer, bad boolean);

-- For each waiting child of the tasks that ended: how many of its parents those are, and whether one of them forbids it
-- to run. Aggregated, because UPDATE .. FROM applies one match a row and two parents may end in one batch. An optional
-- parent that failed does not hold back a child that is not optional.
create function journal.heirs(p_build uuid[], p_task text[]) returns journal.hit[]
language sql volatile as $$
    select array_agg((h.build_id, h.child, h.n, h.bad)::journal.hit)
    from (
        select e.build_id, e.child, count(*)::integer as n,
            bool_or(p.state <> 'done' and (c.optional or not p.optional)) as bad
        from unnest(p_build, p_task) as i (build_id, task)
        join edge e on e.build_id = i.build_id and e.parent = i.task
        join task p on p.build_id = e.build_id and p.id = e.parent
        join task c on c.build_id = e.build_id and c.id = e.child and c.state = 'waiting'
        group by e.build_id, e.child
    ) h
$$;

-- Whether a parent that has ended forbids a task to run, judged as heirs does.
create function journal.doomed(p_build uuid, p_task text, p_optional boolean) returns boolean
language sql stable as $$
    select coalesce(bool_or(p.state in ('failed', 'cancelled', 'quarantined', 'skipped') and (p_optional or not p.optional)), false)
    from edge e join task p on p.build_id = e.build_id and p.id = e.parent
    where e.build_id = p_build and e.child = p_task
$$;

create function journal.settle(p_hits journal.hit[], p_now timestamptz) returns void
language plpgsql as $$
declare
    v_build uuid[];
    v_task text[];
begin
    while p_hits is not null loop
        with hit as (
            select h.build_id, h.task, t.org_id, t.outs, t.fence, t.need - h.n as need, t.optional, x.state,
                x.state in ('skipped', 'done') as ended, b.next_seq
            from unnest(p_hits) h
            join task t on t.build_id = h.build_id and t.id = h.task and t.state = 'waiting'
            join build b on b.id = h.build_id
            cross join lateral (select case
                when h.bad and not t.always then 'skipped'
                when t.need - h.n > 0 then 'waiting'
                when journal.quiet(t.agent) then 'done'
                when t.run_at > p_now then 'waiting'
                else 'ready' end as state) x
        ), numbered as (
            select hit.*, next_seq - 1 + sum(ended::integer) over (partition by build_id order by task) as seq from hit
        ), changed as (
            update task t set need = s.need, state = s.state,
                rank = case s.state when 'ready' then journal.rank(t.priority, p_now) else 0 end,
                ended_at = case when s.ended then p_now end,
                reason = case s.state when 'skipped' then 'a task before it did not end well' else '' end
            from numbered s where t.build_id = s.build_id and t.id = s.task
        ), told as (
            insert into event (build_id, seq, org_id, kind, task, fence, at)
            select build_id, seq, org_id, 'task.' || state, task, fence, p_now from numbered where ended
        ), counted as (
            update build b set next_seq = b.next_seq + s.ended, unfinished = b.unfinished - s.ended,
                ready = b.ready + s.ready, broken = b.broken + s.broken
            from (
                select build_id, count(*) filter (where ended) as ended, count(*) filter (where state = 'ready') as ready,
                    count(*) filter (where state = 'skipped' and not optional) as broken
                from numbered group by build_id
            ) s
            where b.id = s.build_id
        )
        select array_agg(build_id), array_agg(task) into v_build, v_task from numbered where ended and outs > 0;
        p_hits := case when v_build is not null then journal.heirs(v_build, v_task) end;
    end loop;
end $$;

-- Ends those of the builds that have nothing left to do. The caller holds their locks. A halted build waits for the
-- decision even so.
create function journal.finish(p_build uuid[], p_now timestamptz) returns void
language plpgsql as $$
begin
    -- Most calls end here; planning the statement below costs more than this look.
    if not exists (select from build where id = any (p_build) and open and unfinished = 0 and state <> 'halted') then
        return;
    end if;
    with over as (
        select id, org_id, next_seq,
            case when stop then 'cancelled' when broken > 0 then 'failed' else 'passed' end as state
        from build where id = any (p_build) and open and unfinished = 0 and state <> 'halted'
    ), ended as (
        update build b set state = o.state, open = false, held_at = null, ended_at = p_now, next_seq = b.next_seq + 1
        from over o where b.id = o.id
    )
    insert into event (build_id, seq, org_id, kind, at, body)
    select id, next_seq, org_id, 'build.ended', p_now, jsonb_build_object('state', state) from over;
end $$;

-- Charges what those of the tasks that run have used of their slots: who takes them from a worker calls this. The row is of
-- no worker, so that nobody waits for it, and "fold" takes it up.
create function journal.charge(p_build uuid[], p_task text[], p_now timestamptz) returns void
language sql volatile as $$
    insert into usage (org_id, worker, vt)
    select n.org_id, gen_random_uuid(), n.used / o.weight
    from (
        select t.org_id, sum(greatest(date_part('epoch', p_now - t.started_at), journal.toll())) as used
        from unnest(p_build, p_task) as i (build_id, task)
        join task t on t.build_id = i.build_id and t.id = i.task and t.state = 'running'
        group by t.org_id
    ) n
    join organisation o on o.id = n.org_id
$$;

-- Moves tasks to a state, with the event of p_kind (null = none), and settles what follows. For all that is not the hot
-- path: lost leases, deadlines, cancelling, timers. The caller holds the builds' locks and has judged the tasks.
create function journal.turn(
    p_build uuid[], p_task text[], p_state text[], p_kind text[], p_reason text, p_crash boolean,
    p_now timestamptz
) returns void
language plpgsql as $$
declare
    v_build uuid[];
    v_task text[];
begin
    perform journal.charge(p_build, p_task, p_now);
    with item as (
        select i.build_id, i.task, i.state, i.kind, i.o, t.org_id, t.fence, t.optional, t.outs, t.state as old, b.next_seq,
            i.state not in ('waiting', 'ready') as ended
        from unnest(p_build, p_task, p_state, p_kind) with ordinality as i (build_id, task, state, kind, o)
        join task t on t.build_id = i.build_id and t.id = i.task
        join build b on b.id = i.build_id
    ), numbered as (
        select item.*, next_seq - 1 + count(kind) over (partition by build_id order by o) as seq from item
    ), changed as (
        update task t set state = s.state, worker = null, run_at = null, reason = p_reason,
            rank = case when s.state = 'ready' and t.rank = 0 then journal.rank(t.priority, p_now) else t.rank end,
            tries = t.tries + coalesce(s.kind in ('task.retrying', 'task.failed') and s.old = 'running', false)::integer,
            crashes = t.crashes + p_crash::integer,
            ended_at = case when s.ended then p_now end
        from numbered s where t.build_id = s.build_id and t.id = s.task
    ), told as (
        insert into event (build_id, seq, org_id, kind, task, fence, at, body)
        select build_id, seq, org_id, kind, task, fence, p_now,
            case p_reason when '' then '{}'::jsonb else jsonb_build_object('reason', p_reason) end
        from numbered where kind is not null
    ), counted as (
        update build b set next_seq = b.next_seq + s.told, unfinished = b.unfinished - s.ended,
            ready = b.ready + s.ready, broken = b.broken + s.broken
        from (
            select build_id, count(kind) as told, count(*) filter (where ended) as ended,
                count(*) filter (where state = 'ready') - count(*) filter (where old = 'ready') as ready,
                count(*) filter (where ended and state <> 'done' and not optional) as broken
            from numbered group by build_id
        ) s
        where b.id = s.build_id
    )
    select array_agg(build_id), array_agg(task) into v_build, v_task from numbered where ended and outs > 0;
    if v_build is not null then
        perform journal.settle(journal.heirs(v_build, v_task), p_now);
    end if;
    perform journal.finish(p_build, p_now);
end $$;
