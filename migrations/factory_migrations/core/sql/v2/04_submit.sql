-- In how many seconds there may be room (what waits, a second for each task, on the slots there are) when the organisation
-- has as much open as it may; null when there is room, or when p_key has its build already.
create function journal.full(p_org uuid, p_key text) returns integer
language plpgsql as $$
declare
    v_org organisation;
    v_builds integer;
    v_tasks bigint;
begin
    select * into v_org from organisation where id = p_org;
    if v_org.max_builds is null and v_org.max_queued is null then
        return null;
    end if;
    -- One order of this organisation at a time, or two of them would find the same last place.
    perform from organisation where id = p_org for no key update;
    select count(*), coalesce(sum(b.unfinished), 0) into v_builds, v_tasks from build b where b.org_id = p_org and b.open;
    if (v_builds >= v_org.max_builds or v_tasks >= v_org.max_queued)
        and not exists (select from build b where b.org_id = p_org and b.idem_key = p_key) then
        return greatest(1, least(300, v_tasks / greatest(1, (
            select sum(w.slots) from worker w where w.beat_at > factory_now() - interval '1 minute'))))::integer;
    end if;
    return null;
end $$;

-- One idempotency key, one build: a second call answers the first's id and the digest it was made with. When the
-- organisation has as much open as it may, no build is made: build is null and retry_after is the answer of journal.full.
create function journal.submit(
    p_org uuid, p_build uuid, p_key text, p_spec text, p_options jsonb, p_params jsonb,
    p_max_agents integer, p_max_depth integer, p_max_seconds double precision,
    p_project text default '', p_max_running integer default null
) returns table (build uuid, created boolean, spec_digest text, retry_after integer)
language plpgsql as $$
declare
    v_now timestamptz := factory_now();
    v_full integer;
begin
    v_full := journal.full(p_org, p_key);
    if v_full is not null then
        return query select null::uuid, false, p_spec, v_full;
        return;
    end if;
    insert into build (id, org_id, idem_key, spec_digest, options, next_seq, tasks, unfinished, ready, max_agents,
        max_depth, vt, max_seconds, drop_at, deadline_at, created_at, project, max_running)
    select p_build, p_org, p_key, p_spec, p_options, 2, 1, 1, 1, p_max_agents, p_max_depth,
        coalesce((select min(b.vt) from build b where b.org_id = p_org and b.open), 0), p_max_seconds,
        v_now + p_max_seconds * interval '0.8 seconds', v_now + p_max_seconds * interval '1 second', v_now,
        p_project, p_max_running
    from organisation o where o.id = p_org
    on conflict (org_id, idem_key) do nothing;
    if not found then
        return query select b.id, false, b.spec_digest, null::integer from build b
        where b.org_id = p_org and b.idem_key = p_key;
        return;
    end if;
    insert into task (build_id, id, org_id, n, agent, title, team, phase, params, state, rank)
    values (p_build, 'plan', p_org, 0, 'planner', 'Plan the build', 'planning', 'planning', p_params, 'ready',
        journal.rank(0, v_now));
    insert into event (build_id, seq, org_id, kind, at, body)
    values (p_build, 1, p_org, 'build.created', v_now, jsonb_build_object('spec', p_spec));
    return query select p_build, true, p_spec, null::integer;
end $$;

-- Checks the children a task brings: null, or why they are refused. Edges inside the batch go from earlier to later
-- tasks, so they make no circle; edges into older tasks could close one only through an older task that has not ended.
create function journal.refusal(p_build build, p_depth integer, p_tasks jsonb, p_edges jsonb, p_parent text) returns text
language plpgsql as $$
declare
    v_agents integer;
    v_bad text;
begin
    select count(*) filter (where journal.counts(x ->> 'agent')) into v_agents
    from jsonb_array_elements(p_tasks) x;
    if p_build.agents + v_agents > p_build.max_agents then
        return format('%s more agents would pass the cap of %s', v_agents, p_build.max_agents);
    end if;
    if p_depth > p_build.max_depth and jsonb_array_length(p_tasks) > 0 then
        return format('tasks may be nested %s deep', p_build.max_depth);
    end if;
    select y.id into v_bad from (select x ->> 'id' as id from jsonb_array_elements(p_tasks) x) y group by y.id
    having count(*) > 1 or exists (select from task t where t.build_id = p_build.id and t.id = y.id) limit 1;
    if v_bad is not null then
        return format('there is a task %s already', v_bad);
    end if;
    with new as (
        select x ->> 'id' as id, o from jsonb_array_elements(p_tasks) with ordinality as i (x, o)
    ), e as (
        select x ->> 0 as parent, x ->> 1 as child, np.o as parent_o, nc.o as child_o, tp.state as parent_state,
            tc.state as child_state, tp.id as old_parent
        from jsonb_array_elements(p_edges) x
        left join new np on np.id = x ->> 0
        left join new nc on nc.id = x ->> 1
        left join task tp on tp.build_id = p_build.id and tp.id = x ->> 0
        left join task tc on tc.build_id = p_build.id and tc.id = x ->> 1
    )
    select format('the edge from %s to %s cannot be drawn', e.parent, e.child) into v_bad from e
    where (e.parent_o is null and e.old_parent is null)
        or (e.child_o is null and (e.child_state is distinct from 'waiting' or e.parent_o is null))
        or e.parent_o >= e.child_o
        or (e.parent_state in ('waiting', 'ready', 'running') and e.old_parent <> p_parent
            and exists (select from e y where y.child_o is null))
    limit 1;
    return v_bad;
end $$;

-- Inserts the children of a task that is about to be done: null, or why it refused. The caller holds the build's lock.
-- One event tells of them all, so that whoever follows the build knows of tasks before they start.
-- "joined" children are waited for by whoever waits for the parent. "halt" is a reason to wait for a person's decision.
create function journal.plant(p_build uuid, p_parent text, p_children jsonb, p_now timestamptz) returns text
language plpgsql as $$
declare
    v_build build;
    v_depth integer;
    v_tasks jsonb := p_children -> 'tasks';
    v_edges jsonb := p_children -> 'edges';
    v_kind text := case when p_parent = 'plan' then 'build.planned' when jsonb_array_length(v_tasks) > 0 then 'build.grown' end;
    v_refusal text;
begin
    select * into v_build from build where id = p_build;
    select depth + 1 into v_depth from task where build_id = p_build and id = p_parent;
    select v_edges || coalesce(jsonb_agg(jsonb_build_array(x ->> 'id', e.child)), '[]') into v_edges
    from jsonb_array_elements(v_tasks) x
    join edge e on (x -> 'joined')::boolean and e.build_id = p_build and e.parent = p_parent
    join task t on t.build_id = p_build and t.id = e.child and t.state = 'waiting';
    v_refusal := journal.refusal(v_build, v_depth, v_tasks, v_edges, p_parent);
    if v_refusal is not null then
        return v_refusal;
    end if;
    insert into task (build_id, id, org_id, n, parent, depth, agent, title, team, phase, scope, params, requirements, seconds,
        priority, optional, always, fence, run_at, deadline_seconds, max_tries)
    select p_build, x.id, v_build.org_id, v_build.tasks + row_number() over () - 1, p_parent, v_depth, x.agent, x.title,
        x.team, x.phase, x.scope, x.params, x.requirements, x.seconds, x.priority, x.optional, x.always, v_build.first_fence,
        case when x.delay > 0 then p_now + x.delay * interval '1 second' end, x.deadline_seconds, x.max_tries
    from jsonb_to_recordset(v_tasks) as x (id text, agent text, title text, team text, phase text, scope text, params jsonb,
        requirements text[], seconds double precision, priority integer, optional boolean, always boolean,
        delay double precision, deadline_seconds double precision, max_tries integer);
    insert into edge (build_id, parent, child, org_id)
    select distinct p_build, x ->> 0, x ->> 1, v_build.org_id from jsonb_array_elements(v_edges) x;
    update task t set outs = t.outs + e.outs, need = t.need + e.need
    from (
        select id, sum(outs) as outs, sum(need) as need from (
            select distinct x ->> 0 as id, x ->> 1 as other, 1 as outs, 0 as need from jsonb_array_elements(v_edges) x
            union all
            select distinct x ->> 1, x ->> 0, 0, (p.state in ('waiting', 'ready', 'running'))::integer
            from jsonb_array_elements(v_edges) x join task p on p.build_id = p_build and p.id = x ->> 0
        ) y group by id
    ) e
    where t.build_id = p_build and t.id = e.id;
    update build set tasks = tasks + jsonb_array_length(v_tasks), unfinished = unfinished + jsonb_array_length(v_tasks),
        agents = agents + (
            select count(*) from jsonb_array_elements(v_tasks) x
            where journal.counts(x ->> 'agent')),
        state = case when p_parent = 'plan' and held_at is null then 'running' else state end,
        -- Optional work that comes when such work has been dropped for want of time is dropped by the next upkeep.
        drop_at = case when drop_at is null and deadline_at is not null and exists (
            select from jsonb_array_elements(v_tasks) x where (x ->> 'optional')::boolean) then p_now else drop_at end,
        next_seq = next_seq + (v_kind is not null)::integer
    where id = p_build;
    if v_kind is not null then
        insert into event (build_id, seq, org_id, kind, task, at, body)
        values (p_build, v_build.next_seq, v_build.org_id, v_kind, p_parent, p_now,
            jsonb_build_object('tasks', jsonb_array_length(v_tasks), 'agents', (
                select agents from build where id = p_build)));
    end if;
    if p_children ? 'halt' then
        perform journal.halt(p_build, p_parent, p_children ->> 'halt', p_now);
    end if;
    return null;
end $$;

-- Starts those of a task's new children that wait for nobody, or whose fate is sealed by a parent that ended before.
create function journal.sprout(p_build uuid, p_parent text, p_now timestamptz) returns void
language plpgsql as $$
declare
    v_hits journal.hit[];
begin
    select array_agg((p_build, t.id, 0, x.bad)::journal.hit) into v_hits
    from task t
    cross join lateral (select journal.doomed(p_build, t.id, t.optional) as bad) x
    where t.build_id = p_build and t.parent = p_parent and t.state = 'waiting' and (t.need = 0 or x.bad);
    perform journal.settle(v_hits, p_now);
end $$;
