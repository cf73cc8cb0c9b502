-- Hands out up to p_want ready tasks of p_ids, whose locks the caller holds, fairly by virtual time.
create function journal.claim(
    p_worker uuid, p_tick bigint, p_ids uuid[], p_want integer, p_per integer, p_now timestamptz
) returns integer
language plpgsql as $$
declare
    v_share integer := greatest(p_per, p_want / greatest(cardinality(p_ids), 1) + 1);
    v_body jsonb := jsonb_build_object('worker', p_worker);
    v_count integer;
begin
    with near as (
        select b.id as build_id, b.org_id, b.next_seq, b.vt, b.weight, t.id as task, t.fence + 1 as fence,
            row_number() over (partition by b.id order by t.priority desc, t.n) as k
        from build b
        cross join lateral (
            select t.id, t.priority, t.n, t.fence from task t where t.build_id = b.id and t.state = 'ready'
            order by t.priority desc, t.n limit v_share
        ) t
        where b.id = any (p_ids)
    ), picked as (
        select * from near order by vt + k::double precision / weight, build_id, k limit p_want
    ), changed as (
        update task t set state = 'running', fence = s.fence, worker = p_worker, tick = p_tick, started_at = p_now,
            run_at = null, deadline_at = p_now + t.deadline_seconds * interval '1 second'
        from picked s where t.build_id = s.build_id and t.id = s.task
    ), told as (
        insert into event (build_id, seq, org_id, kind, task, fence, at, body)
        select build_id, next_seq - 1 + k, org_id, 'task.started', task, fence, p_now, v_body from picked
        returning build_id
    ), counted as (
        update build b set next_seq = b.next_seq + s.n, ready = b.ready - s.n, vt = b.vt + s.n::double precision / b.weight,
            state = case b.state when 'queued' then 'planning' else b.state end
        from (select build_id, count(*) as n from picked group by build_id) s
        where b.id = s.build_id
    )
    select count(*) into v_count from told;
    return v_count;
end $$;

-- One worker's turn, in one transaction and one round trip: report what ended, beat, and take up to p_want tasks.
-- p_scan: look at all open builds, else only at p_offer and at the builds reported on. p_held_*: what the worker
-- believes to run; what it should not is answered as revoked.
--
-- Rows by k: a (answers: seqs in the order of the report), s (a started task), r (a revoked task), m (ask again),
-- x (unknown worker: stop everything and enlist anew). A tick seen before means that its answer was lost: then what was
-- started in it is answered once more and nothing is taken.
create function journal.step(
    p_worker uuid, p_tick bigint,
    p_build uuid[], p_task text[], p_fence integer[], p_kind text[], p_result text[], p_reason text[], p_memo text[],
    p_delay double precision[], p_children text[],
    p_held_build uuid[], p_held_task text[], p_held_fence integer[],
    p_want integer, p_scan boolean, p_offer uuid[], p_per integer
) returns table (
    k "char", seqs bigint[], build_id uuid, task text, fence integer, org_id uuid, agent text, title text, team text,
    phase text, scope text, params jsonb, tries integer, deadline_at timestamptz, spec_digest text
)
language plpgsql as $$
#variable_conflict use_column
declare
    v_now timestamptz := factory_now();
    v_last bigint;
    v_seqs bigint[];
    v_ids uuid[];
    v_count integer := 0;
    v_more boolean := false;
begin
    update worker w set beat_at = v_now, tick = greatest(w.tick, p_tick)
    from (select id, tick from worker where id = p_worker for update) o where w.id = o.id
    returning o.tick into v_last;

    if cardinality(p_build) > 0 then
        perform from build where id = any (p_build) order by id for update;
        v_seqs := journal.conclude(p_build, p_task, p_fence, p_kind, p_result, p_reason, p_memo, p_delay, p_children, v_now);
        k := 'a';
        seqs := v_seqs;
        return next;
        seqs := null;
    end if;

    if cardinality(p_held_build) > 0 then
        return query
        select 'r'::"char", null::bigint[], h.build_id, h.task, h.fence, null::uuid, null, null, null, null, null, null::jsonb,
            null::integer, null::timestamptz, null
        from unnest(p_held_build, p_held_task, p_held_fence) as h (build_id, task, fence)
        where not exists (
            select from task t join build b on b.id = t.build_id
            where t.build_id = h.build_id and t.id = h.task and t.fence = h.fence and t.state = 'running'
                and t.worker = p_worker and not b.stop);
    end if;

    if v_last is null then
        k := 'x';
        return next;
        return;
    end if;

    if p_tick > v_last and p_want > 0 then
        if p_scan then
            select array_agg(c.id) into v_ids from (
                select id from build where open and ready > 0 and not stop and state in ('queued', 'planning', 'running')
                order by vt, id limit p_want / p_per + 1 for update skip locked
            ) c;
        else
            select array_agg(c.id) into v_ids from (
                select id from build where id = any (p_offer || p_build) and open and ready > 0 and not stop
                    and state in ('queued', 'planning', 'running')
                for update skip locked
            ) c;
        end if;
        if v_ids is not null then
            v_count := journal.claim(p_worker, p_tick, v_ids, p_want, p_per, v_now);
        end if;
        v_more := v_count >= p_want or (p_scan and v_count > 0) or (p_scan and exists (
            select from build where open and ready > 0 and not stop and state in ('queued', 'planning', 'running')));
    end if;
    if v_count > 0 or p_tick <= v_last then
        return query
        select 's'::"char", null::bigint[], t.build_id, t.id, t.fence, t.org_id, t.agent, t.title, t.team, t.phase, t.scope,
            t.params, t.tries, t.deadline_at, b.spec_digest
        from task t join build b on b.id = t.build_id
        where t.worker = p_worker and t.tick = p_tick and t.state = 'running';
    end if;
    if v_more then
        k := 'm';
        return next;
    end if;
end $$;

-- Plans made while the tables were empty are kept for ever and are wrong by a factor of forty later.
alter function journal.step set plan_cache_mode = force_custom_plan;
