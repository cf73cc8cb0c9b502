-- Who gets the next slots. Organisations take turns by virtual time: seconds of slots used over weight, what runs now
-- included. Within one, projects that have shares take turns by what they run now over their weight, builds by the tasks
-- they started, and tasks by rank.
--
-- p_ids: the builds to choose from, null for all. Answers the builds to take from, now locked, each with its
-- organisation's virtual time and its project's load; whether there was any choice; and the least virtual time of those
-- that could take a slot. p_clock is the virtual time the fleet has served from: an organisation behind it was idle, and
-- starts there. p_free of the p_want slots are for anyone, the others for organisations with "reserved".
create function journal.choose(
    p_ids uuid[], p_want integer, p_free integer, p_per integer, p_clock double precision, p_now timestamptz,
    out ids uuid[], out times double precision[], out loads double precision[], out choice boolean,
    out least_time double precision
)
language plpgsql as $$
declare
    v_most integer := case when p_ids is null then p_want / p_per + 1 end;
    v_orgs uuid[];
    v_behind uuid[];
    v_limited uuid[];
begin
    choice := false;
    -- Most looks at an idle studio end here.
    if p_ids is null and not exists (select from build where open and ready > 0 and not stop) then
        return;
    end if;
    with hungry as materialized (
        select b.id, b.org_id, b.project, b.vt, b.max_running from build b
        where p_ids is null and b.open and b.ready > 0 and not b.stop and b.state in ('queued', 'planning', 'running')
        union all
        select b.id, b.org_id, b.project, b.vt, b.max_running from build b
        where b.id = any (p_ids) and b.open and b.ready > 0 and not b.stop and b.state in ('queued', 'planning', 'running')
    ), running as materialized (
        select t.org_id, t.build_id, count(*)::integer as n,
            sum(greatest(date_part('epoch', p_now - t.started_at), journal.toll())) as seconds
        from (select distinct org_id from hungry) a
        cross join lateral (
            select t.org_id, t.build_id, t.started_at from task t where t.org_id = a.org_id and t.state = 'running' offset 0) t
        group by t.org_id, t.build_id
    ), org as materialized (
        select o.id, o.weight, o.reserved, o.max_running, o.max_running is not null or (
                select count(s.max_running) > 0 from project_share s where s.org_id = o.id) as limited,
            coalesce(r.n, 0) as n, o.vt + coalesce(u.vt, 0) + coalesce(r.seconds, 0) / o.weight as vt
        from (select distinct org_id from hungry) a
        cross join lateral (select * from organisation where id = a.org_id offset 0) o
        cross join lateral (select sum(u.vt) as vt from usage u where u.org_id = a.org_id) u
        cross join lateral (select sum(n) as n, sum(seconds) as seconds from running where org_id = a.org_id) r
    ), busy as materialized (
        select p.org_id, p.project, coalesce(s.weight, 1) as part, s.max_running, (
            select coalesce(sum(r.n), 0) from running r
            cross join lateral (select x.project from build x where x.id = r.build_id offset 0) x
            where r.org_id = p.org_id and x.project = p.project) as n
        from (select distinct org_id, project from hungry) p
        left join lateral (
            select * from project_share where org_id = p.org_id and project = p.project offset 0) s on true
        where (select true from project_share y where y.org_id = p.org_id limit 1)
    ), able as materialized (
        select h.id, h.org_id, busy.project, h.vt, greatest(org.vt, p_clock) as time, org.vt < p_clock - 1 as behind, org.weight,
            org.limited, org.reserved or p_free > 0 as invited, coalesce(busy.n::double precision / busy.part, 0) as load,
            coalesce(busy.part, 1) as part
        from hungry h
        join org on org.id = h.org_id
        left join busy on busy.org_id = h.org_id and busy.project = h.project
        where (org.n < org.max_running) is not false and (busy.n < busy.max_running) is not false
            and (h.max_running is null or h.max_running > (
                select count(*) from task t where t.org_id = h.org_id and t.build_id = h.id and t.state = 'running'))
    ), ranked as (
        select x.*, time + (row_number() over (
            partition by org_id order by load + (kp - 1)::double precision * p_per / part, vt, id
        ) - 1) * p_per * journal.toll() / weight as tag
        from (
            select able.*, row_number() over (partition by org_id, project order by vt, id) as kp from able where invited
        ) x
    ), locked as (
        -- In this order, one by one, until there are enough.
        select b.id, r.org_id, r.time, r.load, r.behind, r.limited
        from (select * from ranked order by tag, id) r
        cross join lateral (
            select x.id from build x where x.id = r.id and x.open and x.ready > 0 and not x.stop
                and x.state in ('queued', 'planning', 'running') for update skip locked) b
        limit v_most
    )
    select array_agg(id), array_agg(org_id), array_agg(time), array_agg(load), array_agg(org_id) filter (where behind),
        array_agg(org_id) filter (where limited), exists (select from able where invited), (select min(time) from able)
    into ids, v_orgs, times, loads, v_behind, v_limited, choice, least_time
    from locked;

    if v_behind is not null then
        perform journal.lift(v_behind, p_clock, p_now);
    end if;
    if v_limited is not null then
        -- One claim at a time where limits are counted; who finds the organisation taken leaves it alone.
        select array_agg(o.id) into v_behind from (
            select id from organisation where id = any (v_limited) order by id for no key update skip locked) o;
        select array_agg(i.id), array_agg(i.time), array_agg(i.load) into ids, times, loads
        from unnest(ids, v_orgs, times, loads) as i (id, org_id, time, load)
        where i.org_id <> all (v_limited) or i.org_id = any (v_behind);
    end if;
end $$;

-- Its joins are of the builds with ready tasks, which may be many, to their organisations, which may be many too: hashed.
-- Tables are looked up row by row in "lateral", which no setting changes.
alter function journal.choose set enable_hashjoin = on;
alter function journal.choose set enable_nestloop = off;

-- Organisations that were idle come up to the virtual time of those that were not: what is past gives no credit.
create function journal.lift(p_orgs uuid[], p_clock double precision, p_now timestamptz) returns void
language plpgsql as $$
declare
    v_orgs uuid[];
begin
    select array_agg(o.id) into v_orgs from (
        select id from organisation where id = any (p_orgs) order by id for no key update skip locked) o;
    update organisation o set vt = p_clock - x.used
    from (
        select i.id, coalesce((select sum(u.vt) from usage u where u.org_id = i.id), 0) + coalesce((
            select sum(greatest(date_part('epoch', p_now - t.started_at), journal.toll())) from task t
            where t.org_id = i.id and t.state = 'running'), 0) / i.weight as used
        from organisation i where i.id = any (v_orgs)
    ) x
    where o.id = x.id and o.vt + x.used < p_clock - 1;
end $$;

-- Hands out up to p_want ready tasks of p_ids, whose locks the caller holds, in the order of journal.choose, whose answers
-- p_times and p_loads are. Within a build the tasks taken are the first ones, whatever is left out.
create function journal.claim(
    p_worker uuid, p_tick bigint, p_ids uuid[], p_times double precision[], p_loads double precision[],
    p_want integer, p_free integer, p_per integer, p_now timestamptz
) returns table (
    build_id uuid, task text, fence integer, org_id uuid, agent text, title text, team text,
    phase text, scope text, params jsonb, tries integer, deadline_at timestamptz, spec_digest text,
    afresh boolean
)
language plpgsql as $$
#variable_conflict use_column
declare
    v_body jsonb := jsonb_build_object('worker', p_worker);
    v_weight bigint;
begin
    select sum(o.weight) into v_weight from organisation o where o.id in (select b.org_id from build b where b.id = any (p_ids));
    return query with offered as materialized (
        select i.id, i.time, i.load, b.org_id, b.spec_digest, b.next_seq, b.vt, b.weight as pull, o.weight, o.reserved,
            x.project,
            -- Of each organisation twice what its weight is worth: who is behind catches up, in more than one claim.
            greatest(p_per, least(p_want, 2 * p_want * o.weight / v_weight) / count(*) over (partition by b.org_id, x.project) + 1)
                as share, coalesce(s.weight, 1) as part,
            case when b.max_running is not null then b.max_running - (
                select count(*) from task t where t.org_id = b.org_id and t.build_id = b.id and t.state = 'running') end as room,
            o.room as org_room, s.room as project_room
        from unnest(p_ids, p_times, p_loads) as i (id, time, load)
        cross join lateral (select * from build where id = i.id offset 0) b
        -- Counted once for each organisation and project, however many of their builds are offered: the answers are kept.
        cross join lateral (
            select r.weight, r.reserved, case when r.max_running is not null then r.max_running - (
                select count(*) from task t where t.org_id = r.id and t.state = 'running') end as room
            from organisation r where r.id = b.org_id offset 0) o
        left join lateral (
            select r.weight, case when r.max_running is not null then r.max_running - (
                select count(*) from task t join build y on y.id = t.build_id
                where t.org_id = r.org_id and t.state = 'running' and y.project = r.project) end as room
            from project_share r where r.org_id = b.org_id and r.project = b.project offset 0) s on true
        cross join lateral (
            select case when (select true from project_share y where y.org_id = b.org_id limit 1) then b.project end as project) x
    ), near as (
        select f.*, t.id as task, t.fence + 1 as fence, row_number() over (partition by f.id order by t.rank, t.n) as k,
            f.vt + row_number() over (partition by f.id order by t.rank, t.n)::double precision / f.pull as turn
        from offered f
        cross join lateral (
            select t.id, t.rank, t.n, t.fence from task t where t.build_id = f.id and t.state = 'ready'
            order by t.rank, t.n limit greatest(least(f.share, f.room), 0)
        ) t
    ), of_project as (
        select near.*, row_number() over (partition by org_id, project order by turn, id, k) as kp from near
    ), of_org as (
        select of_project.*,
            row_number() over (partition by org_id order by load + kp::double precision / part, turn, id, k) as ko
        from of_project where (kp <= project_room) is not false
    ), of_all as (
        select of_org.*, time + ko * journal.toll() / weight as tag,
            row_number() over (partition by reserved order by time + ko * journal.toll() / weight, org_id, ko) as kr
        from of_org where (ko <= org_room) is not false
    ), picked as materialized (
        select id as build_id, org_id, spec_digest, next_seq, task, fence, k from of_all where reserved or kr <= p_free
        order by tag, org_id, ko limit p_want
    ), changed as (
        update task t set state = 'running', fence = s.fence, worker = p_worker, tick = p_tick, started_at = p_now,
            run_at = null, deadline_at = p_now + t.deadline_seconds * interval '1 second'
        from picked s where t.build_id = s.build_id and t.id = s.task
        returning t.build_id, t.id, t.fence, t.org_id, t.agent, t.title, t.team, t.phase, t.scope, t.params, t.tries,
            t.deadline_at, s.spec_digest, t.afresh
    ), told as (
        insert into event (build_id, seq, org_id, kind, task, fence, at, body)
        select build_id, next_seq - 1 + k, org_id, 'task.started', task, fence, p_now, v_body from picked
    ), counted as (
        update build b set next_seq = b.next_seq + s.n, ready = b.ready - s.n, vt = b.vt + s.n::double precision / b.weight,
            state = case b.state when 'queued' then 'planning' else b.state end
        from (select build_id, count(*) as n from picked group by build_id) s
        where b.id = s.build_id
    )
    select * from changed;
end $$;
