-- One worker's turn, in one transaction and one round trip: report what ended, beat, and take up to p_want tasks.
-- p_scan: look at all open builds, else only at p_offer and at the builds reported on. p_held_*: what the worker
-- believes to run; what it should not is answered as revoked. p_keep of the slots it wants go to organisations with
-- "reserved" only.
--
-- Rows by k: a (answers: seqs in the order of the report), s (a started task), r (a revoked task), m (ask again),
-- x (unknown worker: stop everything and enlist anew). A tick seen before means that its answer was lost: then what was
-- started in it is answered once more and nothing is taken.
create function journal.step(
    p_worker uuid, p_tick bigint,
    p_build uuid[], p_task text[], p_fence integer[], p_kind text[], p_result text[], p_reason text[], p_memo text[],
    p_delay double precision[], p_children text[],
    p_held_build uuid[], p_held_task text[], p_held_fence integer[],
    p_want integer, p_scan boolean, p_offer uuid[], p_per integer, p_keep integer default 0
) returns table (
    k "char", seqs bigint[], build_id uuid, task text, fence integer, org_id uuid, agent text, title text, team text,
    phase text, scope text, params jsonb, tries integer, deadline_at timestamptz, spec_digest text,
    afresh boolean
)
language plpgsql as $$
#variable_conflict use_column
declare
    v_now timestamptz := factory_now();
    v_last bigint;
    v_seqs bigint[];
    v_choice record;
    v_clock double precision;
    v_free integer := p_want - least(p_keep, p_want);
    v_count integer := 0;
    v_more boolean := false;
begin
    update worker w set beat_at = v_now, tick = greatest(w.tick, p_tick)
    from (select id, tick from worker where id = p_worker for update) o where w.id = o.id
    returning o.tick into v_last;

    if cardinality(p_build) > 0 then
        perform from build where id = any (p_build) order by id for update;
        v_seqs := journal.conclude(
            p_worker, p_build, p_task, p_fence, p_kind, p_result, p_reason, p_memo, p_delay, p_children, v_now);
        k := 'a';
        seqs := v_seqs;
        return next;
        seqs := null;
    end if;

    if cardinality(p_held_build) > 0 then
        return query
        select 'r'::"char", null::bigint[], h.build_id, h.task, h.fence, null::uuid, null, null, null, null, null, null::jsonb,
            null::integer, null::timestamptz, null, null::boolean
        from unnest(p_held_build, p_held_task, p_held_fence) as h (build_id, task, fence)
        left join lateral (select * from task where build_id = h.build_id and id = h.task offset 0) t on true
        left join lateral (select stop from build where id = h.build_id offset 0) b on true
        where (t.fence = h.fence and t.state = 'running' and t.worker = p_worker and not b.stop) is not true;
    end if;

    if v_last is null then
        k := 'x';
        return next;
        return;
    end if;

    if p_tick > v_last and p_want > 0 then
        select max(vt) into v_clock from worker;
        v_choice := journal.choose(case when not p_scan then p_offer || p_build end, p_want, v_free, p_per, v_clock, v_now);
        if p_scan and v_choice.least_time > v_clock then
            update worker set vt = v_choice.least_time where id = p_worker;
        end if;
        if v_choice.ids is not null then
            return query select 's'::"char", null::bigint[], c.* from journal.claim(
                p_worker, p_tick, v_choice.ids, v_choice.times, v_choice.loads, p_want, v_free, p_per, v_now) c;
            get diagnostics v_count = row_count;
        end if;
        v_more := v_count >= p_want or (p_scan and (v_count > 0 or v_choice.choice)) or (not p_scan and exists (
            -- What ended may have made room in other builds.
            select from organisation o where o.id in (select org_id from build where id = any (p_build))
                and (o.max_running is not null or exists (
                    select from project_share y where y.org_id = o.id and y.max_running is not null))));
    end if;
    if p_tick <= v_last then
        return query
        select 's'::"char", null::bigint[], t.build_id, t.id, t.fence, t.org_id, t.agent, t.title, t.team, t.phase, t.scope,
            t.params, t.tries, t.deadline_at, b.spec_digest, t.afresh
        from task t join build b on b.id = t.build_id
        where t.worker = p_worker and t.tick = p_tick and t.state = 'running';
    end if;
    if v_more then
        k := 'm';
        return next;
    end if;
end $$;

-- One plan per connection and statement, made once: planning them anew cost more than running them. A plan made while the
-- tables were empty is kept for ever, so it must not be one that is wrong later by a factor of forty. Every statement here
-- starts from the few rows it was given and looks the others up by their keys, and these settings leave it nothing else.
-- Compiling is for queries that run for seconds; forbidden ways count as such.
alter function journal.step set plan_cache_mode = force_generic_plan;
alter function journal.step set enable_seqscan = off;
alter function journal.step set enable_hashjoin = off;
alter function journal.step set enable_mergejoin = off;
alter function journal.step set jit = off;

-- A plan of many thousand tasks is joined with itself. It comes once a build, and is planned for its size.
alter function journal.plant set plan_cache_mode = force_custom_plan;
alter function journal.plant set enable_seqscan = on;
alter function journal.plant set enable_hashjoin = on;
alter function journal.plant set enable_mergejoin = on;
