-- Agents talk while they run: each call is a short transaction of its own, outside the lock of the build. Only the try that
-- holds the task may write; its row is shared until the end, so that it cannot be given up in between. Repeating a call
-- after a lost answer is answered as the first time.

-- Compare and set, for keys in their order: each is written if "version" stands there now (0 = nothing does). A row for each
-- key with what stands there afterwards; no rows at all: this try no longer holds the task.
create function journal.post(
    p_build uuid, p_task text, p_fence integer, p_keys text[], p_values text[], p_versions integer[]
) returns table (key text, value text, version integer, task text, won boolean)
language plpgsql as $$
#variable_conflict use_column
declare
    v_org uuid;
    v_item record;
begin
    select org_id into v_org from task
    where build_id = p_build and id = p_task and fence = p_fence and state = 'running' for share;
    if not found then
        return;
    end if;
    for v_item in
        select * from unnest(p_keys, p_values, p_versions) as i (key, value, version) order by i.key collate "C"
    loop
        insert into board as b (build_id, key, org_id, version, value, task, fence, at)
        select p_build, v_item.key, v_org, 1, v_item.value, p_task, p_fence, factory_now() where v_item.version = 0
        on conflict do nothing;
        update board b set version = b.version + 1, value = v_item.value, task = p_task, fence = p_fence, at = factory_now()
        where b.build_id = p_build and b.key = v_item.key and v_item.version > 0 and b.version = v_item.version;
        return query
        select b.key, b.value, b.version, b.task,
            b.task = p_task and b.value = v_item.value and b.version = v_item.version + 1
        from board b where b.build_id = p_build and b.key = v_item.key;
        if not found then -- a version was asked for, and nothing stands there
            return query select v_item.key, '', 0, '', false;
        end if;
    end loop;
end $$;

-- Sends all the letters of one sender in one round; what an earlier try of the task sent is replaced. False: this try no
-- longer holds the task.
create function journal.send(
    p_build uuid, p_task text, p_fence integer, p_sender text, p_round integer, p_to text[], p_body text[]
) returns boolean
language plpgsql as $$
declare
    v_org uuid;
begin
    select org_id into v_org from task
    where build_id = p_build and id = p_task and fence = p_fence and state = 'running' for share;
    if not found then
        return false;
    end if;
    delete from mail where build_id = p_build and sender = p_sender and round = p_round;
    insert into mail (build_id, sender, round, n, org_id, recipient, body, task, fence)
    select p_build, p_sender, p_round, i.n, v_org, i.recipient, i.body, p_task, p_fence
    from unnest(p_to, p_body) with ordinality as i (recipient, body, n);
    return true;
end $$;

alter function journal.post set plan_cache_mode = force_custom_plan;
alter function journal.send set plan_cache_mode = force_custom_plan;
