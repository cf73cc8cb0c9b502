-- What one worker process counted since it last told: seconds of processor, which add up, and memory held now. Organisations
-- that are gone are left out.
create function journal.count_use(
    p_process uuid, p_org uuid[], p_project text[], p_seconds double precision[], p_memory bigint[]
) returns void
language sql volatile as $$
    insert into host_use as u (org_id, project, process, minute, seconds, memory, counted_at)
    select i.org, i.project, p_process, date_trunc('minute', n.now), i.seconds, i.memory, n.now
    from unnest(p_org, p_project, p_seconds, p_memory) as i (org, project, seconds, memory)
    join organisation o on o.id = i.org
    cross join (select factory_now() as now offset 0) n
    on conflict (org_id, project, process, minute) do update
    set seconds = u.seconds + excluded.seconds, memory = excluded.memory, counted_at = excluded.counted_at
$$;
