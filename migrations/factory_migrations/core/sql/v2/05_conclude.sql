-- Records how attempts ended, a batch at a time, and answers the event each got: the same one again for a repeated
-- report, null for a report under a stale fence. The caller holds the locks of p_build's builds.
--
-- Kinds: done; failed (a verdict, not retried); retry (a crash: later again, until max_tries); park (it must wait, such as
-- for a model's rate: later again, no try is counted, until journal.patience() is used up: failed); cancelled (the agent was
-- stopped before its end: final when the build is stopped, else the task is ready again and no try is counted).
-- p_result is what done and failed attempts leave, p_reason says why it was not done. p_children comes with done only.
create function journal.conclude(
    p_worker uuid, p_build uuid[], p_task text[], p_fence integer[], p_kind text[], p_result text[], p_reason text[], p_memo text[],
    p_delay double precision[], p_children text[], p_now timestamptz
) returns bigint[]
language plpgsql as $$
declare
    v_seqs bigint[];
    v_build uuid[];
    v_task text[];
    v_over boolean;
    v_item record;
    v_refusal text;
    v_planted integer[] := '{}';
    v_o integer;
begin
    if array_length(array_remove(p_children, null), 1) > 0 then
        for v_item in
            select i.o from (
                select distinct on (build_id, task, fence) *
                from unnest(p_build, p_task, p_fence, p_kind, p_children)
                    with ordinality as i (build_id, task, fence, kind, children, o)
                order by build_id, task, fence, o
            ) i
            join task t on t.build_id = i.build_id and t.id = i.task and t.state = 'running' and t.fence = i.fence
            join build b on b.id = i.build_id and not b.stop
            where i.kind = 'done' and i.children is not null
            order by i.o
        loop
            v_o := v_item.o;
            v_refusal := journal.plant(p_build[v_o], p_task[v_o], p_children[v_o]::jsonb, p_now);
            if v_refusal is null then
                v_planted := v_planted || v_o;
            else
                p_kind[v_o] := 'failed';
                p_reason[v_o] := v_refusal;
                if p_children[v_o]::jsonb ?| array['risk', 'halt'] then
                    perform journal.halt(p_build[v_o], p_task[v_o], coalesce(p_children[v_o]::jsonb ->> 'risk',
                        p_children[v_o]::jsonb ->> 'halt'), p_now);
                end if;
            end if;
        end loop;
    end if;

    if 'park' = any (p_kind) then
        for v_item in
            select i.o, t.parked
            from unnest(p_build, p_task, p_fence, p_kind, p_delay) with ordinality as i (build_id, task, fence, kind, delay, o)
            join task t on t.build_id = i.build_id and t.id = i.task and t.fence = i.fence
            where i.kind = 'park' and t.state = 'running' and t.parked + i.delay > journal.patience()
        loop
            v_o := v_item.o;
            p_kind[v_o] := 'failed';
            p_reason[v_o] := format('%s. It had waited for that for %s s already.', p_reason[v_o], round(v_item.parked));
        end loop;
    end if;

    -- One pass, no join of the reports with themselves: of equal reports the first counts and the others get its answer.
    with judged as (
        select i.*, t.org_id, t.optional, t.outs, t.started_at, t.end_fence, t.end_seq, b.next_seq,
            t.state = 'running' and t.fence = i.fence as fits,
            row_number() over (partition by i.build_id, i.task, i.fence order by i.o) = 1 as first,
            case
                when b.stop then 'cancelled'
                when i.kind = 'done' then 'done'
                when i.kind = 'failed' or (i.kind = 'retry' and t.tries + 1 >= t.max_tries) then 'failed'
                when i.kind in ('retry', 'park') and i.delay > 0 then 'waiting'
                else 'ready' end as state
        from unnest(p_build, p_task, p_fence, p_kind, p_result, p_reason, p_memo, p_delay)
            with ordinality as i (build_id, task, fence, kind, result, reason, memo, delay, o)
        left join task t on t.build_id = i.build_id and t.id = i.task
        left join build b on b.id = i.build_id
    ), answered as materialized (
        select judged.*, fits and first as counts, state in ('done', 'failed', 'cancelled') as ended,
            next_seq - 1 + count(*) filter (where fits and first) over (partition by build_id order by o) as seq
        from judged
    ), numbered as (
        select * from answered where counts
    ), changed as (
        update task t set state = s.state, end_fence = s.fence, end_seq = s.seq, worker = null,
            result = case when s.state in ('done', 'failed') then s.result::jsonb end,
            memo_digest = case s.state when 'done' then s.memo end,
            reason = case s.state when 'done' then '' else s.reason end,
            tries = t.tries + (s.state = 'failed' or (s.kind = 'retry' and not s.ended))::integer,
            parked = case s.kind when 'park' then t.parked + greatest(s.delay, journal.toll())
                when 'cancelled' then t.parked else 0 end,
            run_at = case s.state when 'waiting' then p_now + s.delay * interval '1 second' end,
            ended_at = case when s.ended then p_now end
        from numbered s where t.build_id = s.build_id and t.id = s.task
    ), told as (
        insert into event (build_id, seq, org_id, kind, task, fence, at, body)
        select build_id, seq, org_id,
            case when ended then 'task.' || state when kind = 'retry' then 'task.retrying'
                when kind = 'park' then 'task.parked' else 'task.lease_lost' end,
            task, fence, p_now, case state when 'done' then '{}'::jsonb else jsonb_build_object('reason', reason) end
        from numbered
    ), counted as (
        update build b set next_seq = b.next_seq + s.told, unfinished = b.unfinished - s.ended, ready = b.ready + s.ready,
            broken = b.broken + s.broken
        from (
            select build_id, count(*) as told, count(*) filter (where ended) as ended,
                count(*) filter (where state = 'ready') as ready,
                count(*) filter (where ended and state <> 'done' and not optional) as broken
            from numbered group by build_id
        ) s
        where b.id = s.build_id
        returning b.unfinished
    ), charged as (
        insert into usage as u (org_id, worker, vt)
        select n.org_id, p_worker, n.used / o.weight
        from (
            select org_id, sum(greatest(date_part('epoch', p_now - started_at), journal.toll())) as used
            from numbered group by org_id
        ) n
        join organisation o on o.id = n.org_id
        on conflict (org_id, worker) do update set vt = u.vt + excluded.vt
    ), kept as (
        insert into memo (org_id, digest, result, created_at)
        select distinct on (org_id, memo) org_id, memo, result::jsonb, p_now from numbered
        where state = 'done' and memo is not null
        order by org_id, memo
        on conflict do nothing
    )
    select
        array_agg(case when a.counts then a.seq
            when a.fits then (
                select n.seq from numbered n where n.build_id = a.build_id and n.task = a.task and n.fence = a.fence)
            when a.end_fence = a.fence then a.end_seq end order by a.o),
        array_agg(a.build_id) filter (where a.counts and a.ended and a.outs > 0),
        array_agg(a.task) filter (where a.counts and a.ended and a.outs > 0),
        (select bool_or(unfinished <= 0) from counted)
    into v_seqs, v_build, v_task, v_over
    from answered a;

    if v_build is not null then
        perform journal.settle(journal.heirs(v_build, v_task), p_now);
    end if;
    foreach v_o in array v_planted loop
        perform journal.sprout(p_build[v_o], p_task[v_o], p_now);
    end loop;
    if v_over or v_build is not null or v_planted <> '{}' then
        perform journal.finish(p_build, p_now);
    end if;
    return v_seqs;
end $$;
