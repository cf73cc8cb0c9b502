-- Moving events out of the tables. One worker at a time does it (pg_try_advisory_xact_lock in the caller's transaction).
--
-- Only what was decided stays, since running a build again asks for it; few builds have any such event. Nothing else may:
-- one row left behind in each build would keep every page of the index from being used again.

-- The next build to archive that ended p_age seconds ago, and the numbers of the events that are still to be moved. Builds
-- with dead letters keep their events until somebody has answered them. p_skip: those with which it did not work.
create function journal.archivable(p_age double precision, p_skip uuid[])
returns table (build_id uuid, org_id uuid, first bigint, last bigint)
language sql volatile as $$
    select b.id, b.org_id, coalesce((select max(a.last) from archive a where a.build_id = b.id), 0) + 1, b.next_seq - 1
    from build b
    where not b.open and not b.archived and b.ended_at <= (select factory_now() - p_age * interval '1 second')
        and b.id <> all (p_skip)
        and not exists (select from task t where t.build_id = b.id and t.state = 'quarantined')
    order by b.ended_at limit 1
$$;

-- The file with events p_first to p_last is stored and was read back: notes it and deletes the rows, in one transaction.
-- False: the build has moved on meanwhile, or was archived by another. Nothing is deleted then.
create function journal.archive(
    p_build uuid, p_first bigint, p_last bigint, p_key text, p_digest text, p_size bigint
) returns boolean
language plpgsql as $$
declare
    v_org uuid;
begin
    select org_id into v_org from build
    where id = p_build and not open and not archived and next_seq - 1 = p_last for update;
    if not found or p_first <> coalesce((select max(last) from archive where build_id = p_build), 0) + 1 then
        return false;
    end if;
    insert into archive (build_id, first, last, org_id, key, digest, size, archived_at)
    values (p_build, p_first, p_last, v_org, p_key, p_digest, p_size, factory_now());
    delete from event where build_id = p_build and seq between p_first and p_last
        and kind not in ('build.halted', 'build.decided', 'build.retried');
    update build set archived = true where id = p_build;
    return true;
end $$;

-- Forgets up to a thousand each of: results older than p_memo seconds (0 = never), workers gone for a month, and what was
-- counted of hosts a quarter of an hour ago.
create function journal.forget(p_memo double precision) returns integer
language plpgsql as $$
declare
    v_memos integer := 0;
    v_workers integer;
    v_uses integer;
    v_before timestamptz := factory_now() - p_memo * interval '1 second';
    v_month timestamptz := factory_now() - interval '30 days';
    v_quarter timestamptz := factory_now() - interval '15 minutes';
begin
    if p_memo > 0 then
        delete from memo where (org_id, digest) in (
            select org_id, digest from memo where created_at < v_before limit 1000 for update skip locked);
        get diagnostics v_memos = row_count;
    end if;
    delete from past_worker where id in (
        select id from past_worker where gone_at < v_month limit 1000 for update skip locked);
    get diagnostics v_workers = row_count;
    delete from host_use where (org_id, project, process, minute) in (
        select org_id, project, process, minute from host_use where minute < v_quarter limit 1000 for update skip locked);
    get diagnostics v_uses = row_count;
    return v_memos + v_workers + v_uses;
end $$;

alter function journal.archive set plan_cache_mode = force_custom_plan;
