-- What people decide about a build that is under way: pause, resume, halt, decide. Each function takes the lock of the
-- build's row first and may be called again when its answer was lost.
--
-- changed: it did something. same: all is as asked already. refused: the build is in a state (the one answered) in which
-- it cannot be done. packed: what was decided is in a file. No row: no such build of this organisation.
create type journal.verdict as (verdict text, state text);

-- One fact about a build as a whole. The caller holds its lock.
create function journal.tell(p_build uuid, p_kind text, p_task text, p_body jsonb, p_now timestamptz) returns void
language sql volatile as $$
    with b as (
        update build set next_seq = next_seq + 1 where id = p_build returning org_id, next_seq - 1 as seq
    )
    insert into event (build_id, seq, org_id, kind, task, at, body)
    select p_build, seq, org_id, p_kind, p_task, p_now, p_body from b
$$;

-- The state of a build that goes on: it follows from its first task.
create function journal.pace(p_build uuid) returns text
language sql stable as $$
    select case when state = 'done' then 'running' when fence > 0 then 'planning' else 'queued' end
    from task where build_id = p_build and id = 'plan'
$$;

-- Nothing new is started; what runs ends and is kept.
create function journal.pause(p_org uuid, p_build uuid, p_by text, p_reason text) returns setof journal.verdict
language plpgsql as $$
declare
    v_now timestamptz := factory_now();
    v_state text;
begin
    select state into v_state from build where id = p_build and org_id = p_org for update;
    if not found then
        return;
    end if;
    if v_state in ('queued', 'planning', 'running') then
        update build set state = 'paused', held_at = v_now, reason = p_reason where id = p_build;
        perform journal.tell(p_build, 'build.paused', null, jsonb_build_object('by', p_by, 'reason', p_reason), v_now);
        return query select 'changed', 'paused';
    else
        return query select case v_state when 'paused' then 'same' else 'refused' end, v_state;
    end if;
end $$;

-- Lets a held build go on, and gives it back the time for which it was held. The caller holds its lock and tells why.
create function journal.release(p_build uuid, p_now timestamptz) returns void
language sql volatile as $$
    update build set state = journal.pace(p_build), reason = '', held_at = null, drop_at = drop_at + (p_now - held_at),
        deadline_at = deadline_at + (p_now - held_at)
    where id = p_build
$$;

create function journal.resume(p_org uuid, p_build uuid, p_by text) returns setof journal.verdict
language plpgsql as $$
declare
    v_now timestamptz := factory_now();
    v_state text;
begin
    select state into v_state from build where id = p_build and org_id = p_org for update;
    if not found then
        return;
    end if;
    if v_state = 'paused' then
        perform journal.release(p_build, v_now);
        perform journal.tell(p_build, 'build.resumed', null, jsonb_build_object('by', p_by), v_now);
        return query select 'changed', state from build where id = p_build;
    else
        return query select case when v_state in ('queued', 'planning', 'running') then 'same' else 'refused' end, v_state;
    end if;
end $$;

-- A task found what a person must judge: nothing more is started, and the build does not end, until "decide". The caller
-- holds the build's lock, and calls this before "finish". A second finding is told, too; one decision answers them all.
-- False: the build has ended or is being stopped.
create function journal.halt(p_build uuid, p_task text, p_reason text, p_now timestamptz) returns boolean
language plpgsql as $$
begin
    update build set state = 'halted', held_at = coalesce(held_at, p_now),
        reason = case state when 'halted' then reason else p_reason end,
        paused = case state when 'paused' then reason else paused end
    where id = p_build and open and not stop;
    if not found then
        return false;
    end if;
    perform journal.tell(p_build, 'build.halted', p_task, jsonb_build_object('reason', p_reason), p_now);
    return true;
end $$;

-- A person's answer to a halt: on (or back to the pause that was before it), or an end to it. The same answer again changes nothing.
create function journal.decide(p_org uuid, p_build uuid, p_approve boolean, p_by text, p_note text)
returns setof journal.verdict
language plpgsql as $$
declare
    v_now timestamptz := factory_now();
    v_state text;
    v_packed boolean;
    v_body jsonb := jsonb_build_object(
        'decision', case when p_approve then 'approved' else 'rejected' end, 'by', p_by, 'note', p_note);
begin
    select state, packed into v_state, v_packed from build where id = p_build and org_id = p_org for update;
    if not found then
        return;
    end if;
    if v_state <> 'halted' then
        return query select case when v_packed then 'packed' when v_body = (
            select body from event where build_id = p_build and kind in ('build.halted', 'build.decided')
            order by seq desc limit 1) then 'same' else 'refused' end, v_state;
        return;
    end if;
    perform journal.tell(p_build, 'build.decided', null, v_body, v_now);
    if p_approve then
        update build set state = 'paused', reason = paused, paused = null where id = p_build and paused is not null;
        if not found then
            perform journal.release(p_build, v_now);
        end if;
        perform journal.finish(array[p_build], v_now);
    else
        perform journal.cancel(p_org, p_build, case p_note when '' then 'rejected' else 'rejected: ' || p_note end);
    end if;
    return query select 'changed', state from build where id = p_build;
end $$;

alter function journal.pause set plan_cache_mode = force_custom_plan;
alter function journal.resume set plan_cache_mode = force_custom_plan;
alter function journal.decide set plan_cache_mode = force_custom_plan;
