-- Running parts of a build again: in place (retry), or as a build of its own that shares what is done (fork).

-- The tasks and all that follows from them: by edges, and as what they spawned.
create function journal.below(p_build uuid, p_tasks text[]) returns text[]
language sql stable as $$
    with recursive link as materialized (
        select parent, child from edge where build_id = p_build
        union all
        select parent, id from task where build_id = p_build and parent is not null
    ), found as (
        select unnest(p_tasks) collate "C" as id
        union
        select link.child from found join link on link.parent = found.id
    )
    select coalesce(array_agg(id), '{}') from found
$$;

-- Those of the tasks' ancestors that did not end well: without them the tasks would only be skipped again.
create function journal.culprits(p_build uuid, p_tasks text[]) returns text[]
language sql stable as $$
    with recursive above as (
        select unnest(p_tasks) collate "C" as id
        union
        select e.parent from above join edge e on e.build_id = p_build and e.child = above.id
    )
    select coalesce(array_agg(t.id), '{}') from above join task t on t.build_id = p_build and t.id = above.id
    where t.state in ('failed', 'cancelled', 'quarantined', 'skipped')
$$;

-- The tasks whose findings halted the build and were never approved. To run the build again is no approval.
create function journal.unapproved(p_build uuid) returns text[]
language sql stable as $$
    select coalesce(array_agg(distinct h.task), '{}') from event h
    join task t on t.build_id = h.build_id and t.id = h.task
    where h.build_id = p_build and h.kind = 'build.halted' and h.seq > coalesce((
        select max(seq) from event
        where build_id = p_build and kind = 'build.decided' and body ->> 'decision' = 'approved'), 0)
$$;

-- Judges tasks that were put back to waiting, now that "need" is right, and ends the build if that was all.
create function journal.revive(p_build uuid, p_tasks text[], p_now timestamptz) returns void
language plpgsql as $$
declare
    v_hits journal.hit[];
begin
    update build b set tasks = c.tasks, unfinished = c.unfinished, ready = c.ready, broken = c.broken
    from (
        select count(*) as tasks, count(*) filter (where state in ('waiting', 'ready', 'running')) as unfinished,
            count(*) filter (where state = 'ready') as ready,
            count(*) filter (where state in ('failed', 'cancelled', 'quarantined', 'skipped') and not optional) as broken
        from task where build_id = p_build
    ) c
    where b.id = p_build;
    select array_agg((p_build, t.id, 0, x.bad)::journal.hit) into v_hits
    from task t
    cross join lateral (select journal.doomed(p_build, t.id, t.optional) as bad) x
    where t.build_id = p_build and t.id = any (p_tasks) and t.state = 'waiting' and (t.need = 0 or x.bad);
    perform journal.settle(v_hits, p_now);
    perform journal.finish(array[p_build], p_now);
end $$;

-- Puts tasks and all that follows from them back to waiting. What they spawned is taken away: they spawn it again. Their
-- fences go on from where they were, and those of what is spawned again go on from the highest taken away. The caller
-- holds the build's lock. p_named: those that are done afresh, with nothing from memory.
create function journal.rewind(p_build uuid, p_roots text[], p_named text[], p_now timestamptz) returns text[]
language plpgsql as $$
declare
    v_again text[] := journal.below(p_build, p_roots);
    v_gone text[];
begin
    -- What was remembered for a task that is run again though it was done would only be answered once more.
    delete from memo where (org_id, digest) in (
        select m.org_id, m.digest from memo m join task t on m.org_id = t.org_id and m.digest = t.memo_digest
        where t.build_id = p_build and t.id = any (p_roots) order by m.digest for update of m);
    select coalesce(array_agg(id), '{}') into v_gone from task
    where build_id = p_build and id = any (v_again) and parent = any (v_again);
    with told as (
        select t.id, t.org_id, t.fence, case when t.id = any (v_gone) then 'task.removed' else 'task.reset' end as kind,
            b.next_seq - 1 + row_number() over (order by t.n, t.id) as seq
        from task t join build b on b.id = t.build_id
        where t.build_id = p_build and t.id = any (v_again) and (t.id = any (v_gone) or t.state not in ('waiting', 'ready'))
    ), counted as (
        update build set next_seq = next_seq + (select count(*) from told), first_fence = greatest(first_fence, (
            select max(fence) from told where kind = 'task.removed')), agents = agents - (
            select count(*) from task
            where build_id = p_build and id = any (v_gone) and journal.counts(agent))
        where id = p_build
    )
    insert into event (build_id, seq, org_id, kind, task, fence, at)
    select p_build, seq, org_id, kind, id, fence, p_now from told;
    perform journal.charge(array_fill(p_build, array[cardinality(v_again)]), v_again, p_now);
    delete from mail where build_id = p_build and task = any (v_again); -- they write again, or have nothing to say now
    delete from task where build_id = p_build and id = any (v_gone);
    update task t set state = 'waiting', tries = 0, crashes = 0, parked = 0, worker = null, tick = null, run_at = null, started_at = null,
        ended_at = null, deadline_at = null, memo_digest = null, result = null, reason = '',
        afresh = coalesce(t.id = any (p_named), false), need = (
            select count(*) from edge e join task p on p.build_id = e.build_id and p.id = e.parent
            where e.build_id = p_build and e.child = t.id
                and (p.id = any (v_again) or p.state in ('waiting', 'ready', 'running')))
    where t.build_id = p_build and t.id = any (v_again);
    if v_gone <> '{}' then
        update task t set n = x.n, outs = x.outs
        from (
            select k.id, row_number() over (order by k.n, k.id) - 1 as n,
                (select count(*) from edge e where e.build_id = p_build and e.parent = k.id) as outs
            from task k where k.build_id = p_build
        ) x
        where t.build_id = p_build and t.id = x.id;
    end if;
    return v_again;
end $$;

-- Runs tasks again, with all that follows from them: those named and what made them be skipped, or (null) all that did not
-- end well. A build that has failed or was cancelled is opened again, with all of its time; of one that is under way only
-- what ended badly can be retried. What is done and follows from none of these is not touched.
--
-- Verdicts beside changed, same and refused: missing (no such task: the one answered as state), done (a task that is done
-- in a build that is under way), full (the organisation has as much open as it may: state is journal.full's answer), packed
-- (its rows are in a file and must come back first).
create function journal.retry(p_org uuid, p_build uuid, p_tasks text[], p_by text) returns setof journal.verdict
language plpgsql as $$
declare
    v_now timestamptz := factory_now();
    v_build build;
    v_roots text[];
    v_again text[];
    v_bad text;
    v_full integer;
    v_asked jsonb := jsonb_build_object('tasks', to_jsonb(p_tasks), 'by', p_by);
begin
    select * into v_build from build where id = p_build and org_id = p_org for update;
    if not found then
        return;
    end if;
    if v_build.packed then
        return query select 'packed', v_build.state;
        return;
    end if;
    select x into v_bad from unnest(p_tasks) x
    where not exists (select from task where build_id = p_build and id = x) limit 1;
    if v_bad is not null then
        return query select 'missing', v_bad;
        return;
    end if;
    select coalesce(array_agg(id), '{}') into v_roots from task
    where build_id = p_build and (p_tasks is null or id = any (p_tasks)) and (
        state in ('failed', 'cancelled', 'quarantined', 'skipped') or (p_tasks is not null and not v_build.open));
    v_roots := v_roots || journal.culprits(p_build, v_roots);
    if not v_build.open then
        v_roots := v_roots || journal.unapproved(p_build);
    end if;
    if v_build.state in ('passed', 'stopping') or v_roots = '{}' then
        return query select case
            when v_build.state = 'stopping' then 'refused'
            when v_asked = (select body from event where build_id = p_build and kind = 'build.retried' order by seq desc limit 1)
                then 'same'
            when not v_build.open or p_tasks is null then 'refused'
            when exists (select from task where build_id = p_build and id = any (p_tasks) and state = 'done') then 'done'
            else 'same' end, v_build.state;
        return;
    end if;
    v_full := case when not v_build.open then journal.full(p_org, null) end;
    if v_full is not null then
        return query select 'full', v_full::text;
        return;
    end if;
    perform journal.tell(p_build, 'build.retried', null, v_asked, v_now);
    v_again := journal.rewind(p_build, v_roots, p_tasks, v_now);
    update build set open = true, stop = false, archived = false, ended_at = null, reason = case when open then reason else '' end,
        state = case when open then state else journal.pace(p_build) end,
        vt = case when open then vt else greatest(vt, coalesce((
            select min(b.vt) from build b where b.org_id = p_org and b.open), vt)) end,
        drop_at = case when open and deadline_at is not null then drop_at
            else v_now + max_seconds * interval '0.8 seconds' end,
        deadline_at = case when open and deadline_at is not null then deadline_at
            else v_now + max_seconds * interval '1 second' end
    where id = p_build;
    perform journal.revive(p_build, v_again, v_now);
    return query select 'changed', state from build where id = p_build;
end $$;

alter function journal.retry set plan_cache_mode = force_custom_plan;

-- Tells of each task that a fork took over, and of its plan if that is one of them.
create function journal.reuse(p_build uuid, p_source uuid, p_now timestamptz) returns void
language plpgsql as $$
begin
    perform journal.tell(p_build, 'build.planned', 'plan', jsonb_build_object('tasks', count(*) - 1, 'agents', (
        select agents from build where id = p_build)), p_now)
    from task where build_id = p_build having bool_or(id = 'plan' and state = 'done');
    with told as (
        insert into event (build_id, seq, org_id, kind, task, fence, at, body)
        select p_build, b.next_seq - 1 + row_number() over (order by t.n), t.org_id, 'task.reused', t.id, 0, p_now,
            jsonb_build_object('source', p_source)
        from task t join build b on b.id = t.build_id where t.build_id = p_build and t.state = 'done'
        returning seq
    )
    update build set next_seq = next_seq + (select count(*) from told) where id = p_build;
end $$;

-- A build of its own from a task of one that has ended: that task, what follows from it and what is not done are run;
-- everything else is taken over with its result, and told as reused. One idempotency key, one build, as with submit.
--
-- Verdicts: changed; same (the key made a build before: its id and what it was made with); missing (no such task: state
-- names it); refused (the source has not ended: its state); full, packed (as with retry). No row: no such source of this organisation.
create function journal.fork(
    p_org uuid, p_build uuid, p_key text, p_source uuid, p_task text, p_digest text, p_options jsonb, p_params jsonb, p_by text
) returns table (verdict text, state text, build uuid, spec_digest text)
language plpgsql as $$
#variable_conflict use_column
declare
    v_now timestamptz := factory_now();
    v_source build;
    v_again text[];
    v_full integer;
begin
    select * into v_source from build where id = p_source and org_id = p_org for update;
    if not found then
        return;
    end if;
    if exists (select from build b where b.org_id = p_org and b.idem_key = p_key) then
        return query select 'same', b.state, b.id, b.spec_digest from build b where b.org_id = p_org and b.idem_key = p_key;
        return;
    end if;
    if v_source.open then
        return query select 'refused', v_source.state, null::uuid, null;
        return;
    end if;
    if v_source.packed then
        return query select 'packed', v_source.state, null::uuid, null;
        return;
    end if;
    if not exists (select from task where build_id = p_source and id = p_task) then
        return query select 'missing', p_task, null::uuid, null;
        return;
    end if;
    v_full := journal.full(p_org, p_key);
    if v_full is not null then
        return query select 'full', v_full::text, null::uuid, null;
        return;
    end if;
    select journal.below(p_source, array_agg(id) || p_task || journal.unapproved(p_source)) into v_again
    from task where build_id = p_source and task.state <> 'done';
    insert into build (id, org_id, idem_key, spec_digest, options, next_seq, agents, max_agents, max_depth, weight, vt,
        max_seconds, drop_at, deadline_at, created_at, project, max_running)
    select p_build, p_org, p_key, p_digest, p_options, 1, (
            select count(*) from task
            where build_id = p_source and id <> 'plan' and journal.counts(agent)
                and (parent = any (v_again)) is not true),
        max_agents, max_depth, weight, coalesce((select min(b.vt) from build b where b.org_id = p_org and b.open), 0),
        max_seconds, v_now + max_seconds * interval '0.8 seconds', v_now + max_seconds * interval '1 second', v_now,
        project, max_running
    from build where id = p_source
    on conflict (org_id, idem_key) do nothing;
    if not found then
        return query select 'same', b.state, b.id, b.spec_digest from build b where b.org_id = p_org and b.idem_key = p_key;
        return;
    end if;
    insert into task (build_id, id, org_id, n, parent, depth, agent, title, team, phase, scope, params, requirements, seconds,
        priority, optional, always, state, ended_at, deadline_seconds, max_tries, memo_digest, result, afresh)
    select p_build, id, org_id, row_number() over (order by n, id) - 1, parent, depth, agent, title, team, phase, scope,
        case id when p_task then params || p_params else params end, requirements, seconds, priority, optional, always,
        case when x.again then 'waiting' else 'done' end, case when not x.again then v_now end, deadline_seconds, max_tries,
        case when not x.again then memo_digest end, case when not x.again then result end, id = p_task
    from task cross join lateral (select id = any (v_again) as again) x
    where build_id = p_source and (parent = any (v_again)) is not true;
    insert into edge (build_id, parent, child, org_id)
    select p_build, e.parent, e.child, e.org_id from edge e
    join task p on p.build_id = p_build and p.id = e.parent
    join task c on c.build_id = p_build and c.id = e.child
    where e.build_id = p_source;
    -- What was said so far: the letters of what is taken over, and the board, which no one task owns.
    insert into mail (build_id, sender, round, n, org_id, recipient, body, task, fence)
    select p_build, m.sender, m.round, m.n, m.org_id, m.recipient, m.body, m.task, m.fence from mail m
    join task t on t.build_id = p_build and t.id = m.task and t.state = 'done'
    where m.build_id = p_source;
    insert into board (build_id, key, org_id, version, value, task, fence, at)
    select p_build, x.key, x.org_id, x.version, x.value, x.task, x.fence, x.at from board x
    join task t on t.build_id = p_build and t.id = x.task
    where x.build_id = p_source;
    update task t set
        outs = (select count(*) from edge e where e.build_id = p_build and e.parent = t.id),
        need = case t.state when 'done' then 0 else (
            select count(*) from edge e join task p on p.build_id = p_build and p.id = e.parent and p.state <> 'done'
            where e.build_id = p_build and e.child = t.id) end
    where t.build_id = p_build;
    delete from memo where (org_id, digest) in (
        select m.org_id, m.digest from memo m join task t on m.org_id = t.org_id and m.digest = t.memo_digest
        where t.build_id = p_source and t.id = p_task for update of m);
    perform journal.tell(p_build, 'build.created', null, jsonb_build_object(
        'spec', p_digest, 'source', p_source, 'task', p_task, 'by', p_by), v_now);
    update build set state = journal.pace(p_build) where id = p_build;
    perform journal.reuse(p_build, p_source, v_now);
    perform journal.revive(p_build, v_again, v_now);
    return query select 'changed', b.state, b.id, b.spec_digest from build b where b.id = p_build;
end $$;

alter function journal.fork set plan_cache_mode = force_custom_plan;
