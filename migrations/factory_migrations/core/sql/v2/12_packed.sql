-- Moving all other rows of a build that ended long ago to a file, and back. The row of the build stays, and where the file is.

-- The next build to pack that ended p_age seconds ago: all its events are in files. p_skip: those with which it did not work.
create function journal.packable(p_age double precision, p_skip uuid[])
returns table (build_id uuid, org_id uuid, last bigint)
language sql volatile as $$
    select b.id, b.org_id, b.next_seq - 1
    from build b
    where b.archived and not b.packed and b.ended_at <= (select factory_now() - p_age * interval '1 second')
        and b.id <> all (p_skip)
    order by b.ended_at limit 1
$$;

-- The file with all p_rows rows is stored and was read back: notes it and deletes them, in one transaction. False: the build
-- has moved on meanwhile, or was packed by another. Nothing is deleted then.
create function journal.pack(
    p_build uuid, p_last bigint, p_rows bigint, p_key text, p_digest text, p_size bigint
) returns boolean
language plpgsql as $$
declare
    v_org uuid;
    v_gone bigint;
    v_some bigint;
    v_table text;
begin
    select org_id into v_org from build
    where id = p_build and archived and not packed and next_seq - 1 = p_last for update;
    if not found then
        return false;
    end if;
    insert into packed (build_id, org_id, key, digest, size, packed_at)
    values (p_build, v_org, p_key, p_digest, p_size, factory_now());
    v_gone := 0;
    foreach v_table in array array['event', 'mail', 'board', 'edge', 'task'] loop -- tasks last: others refer to them
        execute format('delete from %I where build_id = $1', v_table) using p_build;
        get diagnostics v_some = row_count;
        v_gone := v_gone + v_some;
    end loop;
    if v_gone <> p_rows then
        raise exception 'build % has % rows and its file %', p_build, v_gone, p_rows;
    end if;
    update build set packed = true where id = p_build;
    return true;
end $$;

-- Takes the note away and locks the build; the caller puts all rows of the file back in the same transaction. False: no such
-- build of this organisation is packed in this file (any more).
create function journal.unpack(p_org uuid, p_build uuid, p_key text) returns boolean
language plpgsql as $$
begin
    perform from build where id = p_build and org_id = p_org and packed for update;
    delete from packed where found and build_id = p_build and key = p_key;
    update build set packed = false where found and id = p_build;
    return found;
end $$;

-- Puts rows of a file back. Columns that the table has got since have their defaults; those it has lost are left out.
create function journal.put_back(p_table text, p_rows jsonb) returns bigint
language plpgsql as $$
declare
    v_columns text;
    v_count bigint;
begin
    select string_agg(quote_ident(a.attname), ', ' order by a.attnum) into v_columns
    from pg_attribute a
    where a.attrelid = to_regclass(quote_ident(p_table)) and a.attnum > 0 and not a.attisdropped and p_rows -> 0 ? a.attname::text;
    execute format('insert into %I (%s) select %s from jsonb_populate_recordset(null::%I, $1)',
        p_table, v_columns, v_columns, p_table) using p_rows;
    get diagnostics v_count = row_count;
    return v_count;
end $$;

alter function journal.pack set plan_cache_mode = force_custom_plan;
